import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { auditRow, readHead, type Verdict, verifyChain } from '../../src/cli/audit-chain.ts';
import { digest, firstBroken, type Row, wholeLog } from '../harness/audit-log.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { openProgram, type Program, type Ran } from './program.ts';

/** grantry audit: what it shows, and that it names the first row that is broken, whoever broke it and how. */

let broker: TestBroker;
let program: Program;
let owner: pg.Client;
let dir: string;
let sound: Row[];

const grantry = (args: string, { key = broker.broker.rootKey, input = '' } = {}): Promise<Ran> =>
  program.run(args.split(' '), { GRANTRY_URL: broker.url, GRANTRY_API_KEY: key }, input);
const offline = (args: string, input = ''): Promise<Ran> => program.run(args.split(' '), { GRANTRY_URL: 'http://127.0.0.1:9' }, input);
const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'grantry-audit-'));
  [program, broker] = await Promise.all([openProgram(), startTestBroker()]);
  owner = new pg.Client(broker.database.url);
  await owner.connect();
  await owner.query('alter table audit_log disable trigger audit_log_append_only');
  for (let n = 0; n < 12; n += 1) await broker.root.call('POST', '/v1/projects', { body: { id: `p${n}`, name: 'A project' } });
  sound = await wholeLog(broker.root);
  await owner.query('create table kept as table audit_log');
});
afterAll(async () => {
  await owner?.end();
  await broker?.stop();
  await program?.remove();
  await rm(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  await owner.query('delete from audit_log; insert into audit_log table kept');
});

/** What `verify` does, without a process for each. */
async function verdict(rows: readonly unknown[], noted?: string): Promise<Verdict> {
  async function* read() {
    for (const row of rows) yield auditRow(row);
  }
  return verifyChain(read(), { whole: true, head: noted === undefined ? undefined : readHead(noted) });
}

const head = () => `${sound.at(-1)?.seq}:${sound.at(-1)?.hash}`;

test('list, head and export show the log; an export is not written over another one', async () => {
  const listed = await grantry('audit list --action project.created --target p3');
  expect(listed.out).toMatch(
    /^SEQ +AT +PROJECT +ACTOR +ACTION +TARGET_ID +ADDRESS +DETAILS\n4 +2\S+Z +p3 +root +project\.created +p3 +127\.0\.0\.1 +-\n$/,
  );
  expect(JSON.parse((await grantry('--json audit list --limit 2')).out)).toEqual(sound.slice(-2).reverse());
  expect((await grantry('audit head')).out).toBe(`${head()}\n`);
  expect((await grantry('audit export')).out).toBe(lines(sound));
  const file = join(dir, 'whole.jsonl');
  expect(await grantry(`audit export --file ${file}`)).toEqual({ code: 0, out: '', err: '' });
  expect([await readFile(file, 'utf8'), (await stat(file)).mode & 0o777]).toEqual([lines(sound), 0o600]);
  expect(await grantry(`audit export --file ${file}`)).toEqual({ code: 2, out: '', err: `${file} is there already.\n` });
});

test('a part of the time is exported without a gap, though a row in it tells of another time', async () => {
  // Chained after the others, and as of before them, as what is counted is.
  await broker.broker.world.audit.write({
    at: new Date(0),
    project_id: null,
    actor: 'unknown',
    action: 'auth.refused',
    target_id: null,
    address: null,
    request_id: null,
    details: { count: 3 },
  });
  await broker.root.call('POST', '/v1/projects', { body: { id: 'later', name: 'Later' } });
  const all = await wholeLog(broker.root);
  const from = all[3]?.at ?? '';
  const seqs = async (args: string) =>
    (await grantry(`audit export ${args}`)).out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).seq]));
  const first = all.findIndex(({ at }) => at >= from) + 1;
  expect(await seqs(`--from ${from}`)).toEqual(all.slice(first - 1).map(({ seq }) => seq));
  const to = all.at(-1)?.at ?? '';
  expect(await seqs(`--from ${from} --to ${to}`)).toEqual(all.slice(first - 1, -1).map(({ seq }) => seq));
  expect(await seqs('--from 2100-01-01T00:00:00Z')).toEqual([]);
  const { out } = await grantry(`audit export --from ${from}`);
  expect((await offline('audit verify --file -', out)).out).toContain(`It begins with row ${first}: what was before is not looked at.`);
});

test('a whole chain is verified, at the broker and offline, with the heads that were noted', async () => {
  const whole = await grantry(`audit verify --head ${head()}`);
  expect(whole).toEqual({ code: 0, out: `${sound.length} rows, unbroken, up to ${head()}.\n`, err: '' });
  expect((await offline(`audit verify --file - --head ${sound[4]?.hash}`, lines(sound))).code).toBe(0);
  const told = await offline('--json audit verify --file -', lines(sound));
  expect(JSON.parse(told.out)).toEqual({ rows: sound.length, first: 1, last: { seq: sound.length, hash: sound.at(-1)?.hash }, broken: null });
  expect((await offline(`audit verify --file - --head 0:${'0'.repeat(64)}`)).out).toBe('The log is empty.\n');
});

const rewritten = (rows: readonly Row[], from: number): Row[] => {
  let before = rows[from - 2]?.hash ?? '0'.repeat(64);
  return rows.map((row) => {
    if (row.seq < from) return row;
    const next = { ...row, previous_hash: before };
    before = digest(next);
    return { ...next, hash: before };
  });
};
const bytes = (hash: string | undefined) => Buffer.from(hash ?? '', 'hex');

test.each<[string, string, string, number, boolean]>([
  ['a changed field', "update audit_log set actor = 'key_x' where seq = 5", 'altered', 5, false],
  ['a changed time', "update audit_log set at = at + interval '1 ms' where seq = 6", 'altered', 6, false],
  ['another hash', `update audit_log set hash = sha256('x') where seq = 7`, 'altered', 7, false],
  ['a row without its predecessor', 'delete from audit_log where seq = 4', 'missing', 4, false],
  ['several rows gone', 'delete from audit_log where seq between 1 and 3', 'missing', 1, false],
  ['a gap that was closed', 'delete from audit_log where seq = 4; update audit_log set seq = seq - 1 where seq = 5', 'altered', 4, false],
  [
    'two rows swapped',
    'update audit_log set seq = 99 where seq = 2; update audit_log set seq = 2 where seq = 8; update audit_log set seq = 8 where seq = 99',
    'altered',
    2,
    false,
  ],
  ['the end cut off', 'delete from audit_log where seq > 9', 'truncated', 12, true],
  ['everything gone', 'delete from audit_log', 'truncated', 12, true],
])('%s is found by verify', async (_, statement, how, seq, needsHead) => {
  await owner.query(statement);
  const rows = await wholeLog(broker.root);
  expect((await verdict(rows)).broken === null).toBe(needsHead);
  expect((await verdict(rows, head())).broken).toMatchObject({ how, seq });
});

test('the program says which row it is, and ends with 1', async () => {
  await owner.query("update audit_log set actor = 'key_x' where seq = 5");
  expect(await grantry('audit verify')).toEqual({ code: 1, out: '', err: 'altered: Row 5 is not what was written: its hash is another one.\n' });
  const { code, out, err } = await grantry('--json audit verify');
  expect([code, out, JSON.parse(err)]).toEqual([
    1,
    '',
    expect.objectContaining({ code: 'failed', rows: 4, broken: expect.objectContaining({ how: 'altered', seq: 5 }) }),
  ]);
});

test('a chain that was written anew from a row on holds in itself, and not against a head', async () => {
  const forged = rewritten(
    sound.map((row) => (row.seq === 6 ? { ...row, actor: 'key_somebody_else' } : row)),
    6,
  );
  for (const row of forged.slice(5))
    await owner.query('update audit_log set actor = $2, previous_hash = $3, hash = $4 where seq = $1', [
      row.seq,
      row.actor,
      bytes(row.previous_hash),
      bytes(row.hash),
    ]);
  const rows = await wholeLog(broker.root);
  expect(firstBroken(rows)).toBeUndefined();
  expect((await verdict(rows)).broken).toBeNull();
  expect((await verdict(rows, head())).broken).toMatchObject({ how: 'truncated', seq: 12 });
  // One that was noted before the forgery still stands.
  expect((await verdict(rows, sound[4]?.hash)).broken).toBeNull();
});

test.each<[string, (rows: Row[]) => unknown[], string, number | null]>([
  ['lines in another order', ([a, b, c, ...rest]) => [a, c, b, ...rest], 'missing', 2],
  ['a line twice', ([a, b, ...rest]) => [a, b, b, ...rest], 'reordered', 2],
  [
    'a line from another log',
    ([a, b, ...rest]) => [
      a,
      ...rewritten([{ ...(b as Row), previous_hash: createHash('sha256').digest('hex') }], 99).map((row) => ({ ...row, hash: digest(row) })),
      ...rest,
    ],
    'replaced',
    2,
  ],
  ['a line that is no row', ([a, ...rest]) => [a, { seq: 2 }, ...rest], 'unreadable', 2],
  ['a first line that is none', (rows) => ['x', ...rows], 'unreadable', null],
])('in an export, %s is found', async (_, spoil, how, seq) => {
  expect((await verdict(spoil([...sound]))).broken).toMatchObject({ how, seq });
});

test('what cannot be verified is a wrong call: a key of one project, no head, no file', async () => {
  const { key } = await broker.clientWith(['admin']);
  const asAdmin = await grantry('audit verify', { key });
  expect([asAdmin.code, asAdmin.err]).toEqual([2, expect.stringContaining('it takes the root key')]);
  expect((await grantry('audit list', { key })).code).toBe(0);
  expect((await grantry('audit verify --head abc')).code).toBe(2);
  expect((await offline('audit verify --file /nowhere/x')).err).toBe('/nowhere/x cannot be read: there is no such file.\n');
  const { key: weak } = await broker.clientWith(['tokens']);
  expect((await grantry('audit list', { key: weak })).code).toBe(4);
  const broken = join(dir, 'broken.jsonl');
  await writeFile(broken, '{"seq": 1');
  expect((await offline(`audit verify --file ${broken}`)).code).toBe(1);
});
