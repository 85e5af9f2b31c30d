/** Works through a list, so many items at a time, whatever they take. */
export async function fewAtOnce<Item>(items: readonly Item[], atOnce: number, work: (item: Item) => Promise<void>): Promise<void> {
  const rest = [...items];
  async function worker(): Promise<void> {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) await work(next);
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, rest.length) }, worker));
}
