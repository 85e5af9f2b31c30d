/**
 * Scripts for the browser, as text: they run in the page, where the types of Node do not hold.
 * Colours are read from a canvas pixel, so that any CSS colour syntax is understood.
 */

/** Every visible piece of text with its contrast against what is behind it (WCAG 2.2, 1.4.3). */
export const contrasts = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) known.set(colour, pixel(colour));
    return known.get(colour);
  };
  const pixel = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
      if (colour[3] !== 0) throw new Error('half transparent background');
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const look = (element, words, foreground) => {
    const [a, b] = [luminance(rgba(foreground)), luminance(behind(element))].sort((x, y) => y - x);
    found.push({ words: words.slice(0, 60), ratio: (a + 0.05) / (b + 0.05) });
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() !== '' && !element.closest('.unseen, option')) look(element, walker.currentNode.data, getComputedStyle(element).color);
  }
  for (const field of document.querySelectorAll('input:not([type=hidden]), select')) {
    look(field, 'text of ' + field.name, getComputedStyle(field).color);
  }
  return found;
})()`;

/** How far the content is wider than the window, in CSS pixels. */
export const overflow = `document.documentElement.scrollWidth - document.documentElement.clientWidth`;

/** What a person can act on, in document order, with its size in CSS pixels. */
export const controls = `[...document.querySelectorAll('a[href], button, select, input:not([type=hidden])')].map((element) => {
  const { width, height } = element.getBoundingClientRect();
  return { name: element.tagName + ' ' + (element.name || element.textContent.trim()).slice(0, 60), width, height };
})`;

/** The focused control by the name that \`controls\` gives it, and its focus ring. */
export const focused = `(() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  return { name: element.tagName + ' ' + (element.name || element.textContent.trim()).slice(0, 60), outlineStyle, outlineWidth: parseFloat(outlineWidth) };
})()`;
