import { parseArgs } from 'node:util';

/** npm run bench -- <name>: runs one measurement, or all. `token --against <commit>` measures that commit in turns with this one. */
const names = ['token', 'start', 'unknown-key', 'refresh', 'due', 'hosts', 'catalogue'] as const;
const { positionals, values } = parseArgs({ allowPositionals: true, options: { against: { type: 'string' } } });
const unknown = positionals.find((name) => !names.some((known) => known === name));
if (unknown !== undefined) {
  process.stderr.write(`There is no bench "${unknown}"; there are ${names.join(', ')}.\n`);
  process.exit(2);
}
for (const name of positionals.length === 0 ? names : positionals) {
  const bench: { run(options: { against?: string | undefined }): Promise<void> } = await import(`./${name}.ts`);
  await bench.run(values);
}
