import type { Attack } from './attack.ts';
import { type Defence, defenceNames, defences } from './defences.ts';

type Row = Pick<Attack, 'name' | 'falls'>;

/** Attacks that are made from the router share a row, so that a new call changes nothing here. */
function rowsOf(attacks: readonly Attack[]): Row[] {
  const rows = attacks.map(({ name, row = name, falls }): [string, Row] => [JSON.stringify([row, falls]), { name: row, falls }]);
  return [...new Map(rows).values()];
}

/** The matrix for people: a row for each attack, with the defences that have to be off together before it succeeds. */
export function matrix(every: readonly Attack[]): string {
  const attacks = rowsOf(every);
  const alone = attacks.flatMap(({ falls }) => falls).filter((set) => set.length === 1).length;
  const together = attacks.flatMap(({ falls }) => falls).length - alone;
  const holds = (name: string) => attacks.filter(({ falls }) => falls.some((set) => set.some((one) => one === name))).length;
  return [
    '# Attacks and what stops them',
    '',
    'Each attack is made against a real broker by requests alone (`npm run attacks`). With all defences in place none succeeds; without those of its row',
    'it does, and with any one of them back it is stopped again. `a + b`: only without both.',
    '',
    `${attacks.length} attacks, ${defenceNames.length} defences; ${alone} attacks are held by one defence, ${together} by several.`,
    '',
    '| attack | succeeds only without |',
    '|---|---|',
    ...attacks.map(({ name, falls }) => `| ${name} | ${falls.map((set) => set.join(' + ')).join('; or ')} |`),
    '',
    '| defence | what it says | attacks |',
    '|---|---|---|',
    ...Object.entries<Defence>(defences).map(([name, { what }]) => `| ${name} | ${what} | ${holds(name)} |`),
    '',
  ].join('\n');
}
