/** npm run bench -- <name>: runs one measurement, or all. */
const names = ['token', 'start', 'unknown-key', 'refresh', 'due', 'hosts', 'catalogue'] as const;
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !names.some((known) => known === name));
if (unknown !== undefined) {
  process.stderr.write(`There is no bench "${unknown}"; there are ${names.join(', ')}.\n`);
  process.exit(2);
}
for (const name of wanted.length === 0 ? names : wanted) {
  const bench: { run(): Promise<void> } = await import(`./${name}.ts`);
  await bench.run();
}
