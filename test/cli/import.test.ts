import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Whole, withAuthorizationServer } from '../broker/connected.ts';
import { startTestBroker, startWholeSandbox } from '../harness/broker.ts';
import { openProgram, type Program } from './program.ts';

let world: Whole;
let program: Program;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'grantry-import-'));
  program = await openProgram();
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
});
afterAll(async () => {
  await world?.stop();
  await program?.remove();
  await rm(dir, { recursive: true, force: true });
});

const env = () => ({ GRANTRY_URL: world.url, GRANTRY_API_KEY: world.broker.rootKey });
const lineOf = (n: number, integration = 'as') =>
  JSON.stringify({ integration, end_user: { id: `user-${n}` }, import: { access_token: `token-${n}`, refresh_token: `refresh-${n}` } });
const users = async () =>
  (await world.sql<{ id: string }>('select end_user_id as id from connections where deleted_at is null order by 1')).map(({ id }) => id);
const reportOf = async (path: string) => (await readFile(path, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

test('one that is killed in the middle goes on where it was: all there, none twice', async () => {
  const input = join(dir, 'tokens.jsonl');
  const count = 300;
  await writeFile(input, Array.from({ length: count }, (_, n) => lineOf(n)).join('\n'));
  const report = `${input}.report.jsonl`;
  const first = program.start(['import', input], env());
  while ((await reportOf(report)).length < 60) await sleep(5);
  first.child.kill('SIGKILL');
  await first.ended;
  const before = (await users()).length;
  expect(before).toBeGreaterThanOrEqual(60);
  expect(before).toBeLessThan(count);

  const { code, out } = await program.run(['--json', 'import', input], env());
  const counts = JSON.parse(out);
  expect(code).toBe(0);
  expect(counts.imported + counts.done_before).toBe(count);
  expect(counts.done_before).toBeGreaterThanOrEqual(60);
  expect(await users()).toEqual(Array.from({ length: count }, (_, n) => `user-${n}`).sort());
  expect((await program.run(['import', input], env())).out).toContain(`0 imported, ${count} done before, 0 failed.`);
});

test('a line that cannot be imported holds up no other, and is told with its number', async () => {
  const input = join(dir, 'mixed.jsonl');
  const report = join(dir, 'report.jsonl');
  await writeFile(
    input,
    [
      lineOf(1001),
      '{"integration": ',
      lineOf(1002, 'nowhere'),
      '',
      lineOf(1003),
      '{"integration": "as", "end_user": {"id": "x"}, "import": {}}',
    ].join('\n'),
  );
  const { code, out, err } = await program.run(['import', input, '--report', report, '--concurrency', '2'], env());
  expect(code).toBe(1);
  expect(out).toContain('2 imported, 0 done before, 3 failed.');
  expect(err).toMatch(/^line 2: invalid_json: /m);
  expect(err).toMatch(/^line 3: invalid_request: \/integration: There is no such integration\.$/m);
  expect(err).toMatch(/^line 6: invalid_request: /m);
  const lines = (await reportOf(report)).map((line) => JSON.parse(line));
  expect(lines.map(({ line }) => line).sort()).toEqual([1, 2, 3, 5, 6]);
  expect(lines.find(({ line }) => line === 5)).toMatchObject({ connection_id: expect.stringMatching(/^con_/) });

  // Mended, only what failed is sent again.
  await writeFile(input, [lineOf(1001), lineOf(1004), lineOf(1002), '', lineOf(1003)].join('\n'));
  expect((await program.run(['import', input, '--report', report], env())).out).toContain('2 imported, 2 done before, 0 failed.');
  expect((await users()).filter((id) => /^user-100\d$/.test(id))).toEqual(['user-1001', 'user-1002', 'user-1003', 'user-1004']);
});

test('names that lead to a prototype are refused, and what they hold is in no later line', async () => {
  const input = join(dir, 'polluting.jsonl');
  const lines = [
    '{"__proto__": {"end_user": {"id": "user-1500"}, "integration": "as"}}',
    '{"constructor": {"prototype": {"end_user": {"id": "user-1501"}}}}',
    `{"integration": "as", "end_user": {"id": "user-1502", "__proto__": {"display_name": "x"}}, "import": {"access_token": "t"}}`,
    '{"import": {"access_token": "t"}}',
    lineOf(1503),
  ];
  await writeFile(input, lines.join('\n'));
  const { code, out, err } = await program.run(['import', input, '--concurrency', '1'], env());
  expect([code, out]).toEqual([1, expect.stringContaining('1 imported, 0 done before, 4 failed.')]);
  for (const line of [1, 2, 3, 4]) expect(err).toMatch(new RegExp(`^line ${line}: invalid_request: `, 'm'));
  expect((await users()).filter((id) => /^user-150\d$/.test(id))).toEqual(['user-1503']);
});

test('what is done in one project, or at one broker, is not done in the next', async () => {
  const input = join(dir, 'twice.jsonl');
  await writeFile(input, lineOf(3001));
  expect((await program.run(['import', input], env())).out).toContain('1 imported, 0 done before, 0 failed.');
  await world.root.call('POST', '/v1/projects', { body: { id: 'next', name: 'Next' } });
  const next = await program.run(['--project', 'next', 'import', input], env());
  expect([next.code, next.out]).toEqual([1, expect.stringContaining('0 imported, 0 done before, 1 failed.')]);
  const other = await startTestBroker();
  try {
    const there = await program.run(['import', input], { GRANTRY_URL: other.url, GRANTRY_API_KEY: other.broker.rootKey });
    expect([there.code, there.out]).toEqual([1, expect.stringContaining('0 imported, 0 done before, 1 failed.')]);
  } finally {
    await other.stop();
  }
  expect((await program.run(['import', input], env())).out).toContain('0 imported, 1 done before, 0 failed.');
});

test('when the broker goes away and stays away, it is told how far the import came', async () => {
  const input = join(dir, 'away.jsonl');
  const report = join(dir, 'away.report.jsonl');
  const count = 120;
  await writeFile(input, Array.from({ length: count }, (_, n) => lineOf(5000 + n)).join('\n'));
  const sockets = new Set<Socket>();
  const line = createServer((socket) => {
    const on = connectSocket(Number(new URL(world.url).port), '127.0.0.1');
    for (const end of [socket, on]) sockets.add(end.on('error', () => {}));
    socket.pipe(on).pipe(socket);
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const address = line.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const running = program.start(['--json', 'import', input, '--report', report], { ...env(), GRANTRY_URL: url });
  while ((await reportOf(report)).length < 20) await sleep(5);
  line.close();
  for (const socket of sockets) socket.destroy();
  const { code, out, err } = await running.ended;
  expect([code, JSON.parse(err).code]).toEqual([3, 'unreachable']);
  const counts = JSON.parse(out);
  expect(counts).toMatchObject({ done_before: 0, failed: 0 });
  expect(counts.imported).toBe((await reportOf(report)).length);
  expect(counts.imported + counts.not_sent).toBe(count);
  expect((await program.run(['import', input, '--report', report], env())).code).toBe(0);
  expect((await users()).filter((id) => /^user-5\d{3}$/.test(id))).toEqual(Array.from({ length: count }, (_, n) => `user-${5000 + n}`));
});

test('a report whose only line was cut off loses no line after it', async () => {
  const input = join(dir, 'torn.jsonl');
  await writeFile(input, lineOf(4001));
  await writeFile(`${input}.report.jsonl`, '{"line":1,"digest":"ab');
  expect((await program.run(['import', input], env())).out).toContain('1 imported, 0 done before, 0 failed.');
  expect((await program.run(['import', input], env())).out).toContain('0 imported, 1 done before, 0 failed.');
});

test('of the standard input the report has a name that is no option', async () => {
  expect((await program.run(['import', '-'], env(), lineOf(4101))).out).toContain('What became of each line: import.report.jsonl');
});

test('what makes no sense is refused before anything is sent', async () => {
  expect(await program.run(['import', join(dir, 'nothing.jsonl')], env())).toMatchObject({ code: 2, err: expect.stringContaining('cannot be read') });
  const input = join(dir, 'one.jsonl');
  await writeFile(input, lineOf(2001));
  expect(await program.run(['import', input, '--concurrency', 'all'], env())).toMatchObject({
    code: 2,
    err: expect.stringContaining('--concurrency'),
  });
});

test('an import that is broken off says how it goes on, and goes on so', async () => {
  const input = join(dir, 'broken-off.jsonl');
  const report = `${input}.report.jsonl`;
  await writeFile(input, Array.from({ length: 100 }, (_, n) => lineOf(6000 + n)).join('\n'));
  const running = program.start(['import', input, '--concurrency', '1'], env());
  while ((await reportOf(report)).length < 5) await sleep(5);
  running.child.kill('SIGINT');
  const { code, out, err } = await running.ended;
  expect([code, out]).toEqual([130, '']);
  expect(err).toContain('Run the same command again');
  expect((await program.run(['import', input], env())).code).toBe(0);
  expect((await users()).filter((id) => /^user-60\d\d$/.test(id))).toHaveLength(100);
});

test('definitions come back as they were exported; what has no secrets in it is said to have none', async () => {
  const yaml = '# ours\nid: moved\nname: Moved\nmethods: { key: { grant: api_key, inputs: { api_key: { label: K, secret: true } } } }\n';
  await world.root.call('PUT', '/v1/providers/moved', { body: yaml, contentType: 'application/yaml' });
  const { out: exported } = await program.run(['export', 'providers'], env());
  await world.root.call('DELETE', '/v1/providers/moved');
  const input = join(dir, 'moved.jsonl');
  const others = ['{"kind":"connection","id":"con_1"}', '{"kind":"integration","id":"as"}', '{"kind":"provider"}', '[]', '"x"'];
  await writeFile(
    input,
    [
      ...exported
        .trim()
        .split('\n')
        .filter((line) => line.includes('"moved"')),
      ...others,
    ].join('\n'),
  );
  const { code, out, err } = await program.run(['import', input], env());
  expect([code, out]).toEqual([1, expect.stringContaining('1 imported, 0 done before, 5 failed.')]);
  expect(err).toMatch(/^line 2: invalid_line: .*its tokens have to stand in "import"/m);
  expect(err).toMatch(/^line 3: invalid_line: .*grantry integration add/m);
  expect(err).toMatch(/^line 4: invalid_line: A provider needs "id" and "yaml"/m);
  expect(err).toMatch(/^line 6: invalid_json: /m);
  expect(await world.root.call('GET', '/v1/providers/moved', { accept: 'application/yaml' })).toBe(yaml);
  expect((await program.run(['import', input], env())).out).toContain('0 imported, 1 done before, 5 failed.');
});

test('of a file with nothing but failures the first ones are told; a report that cannot be written is said before anything is sent', async () => {
  const input = join(dir, 'none.json');
  await writeFile(
    input,
    JSON.stringify(
      Array.from({ length: 30 }, (_, n) => ({ n })),
      null,
      0,
    ).replaceAll('},', '},\n'),
  );
  const { code, err } = await program.run(['import', input], env());
  expect(code).toBe(1);
  expect(err.match(/^line \d+: /gm)).toHaveLength(20);
  expect(err).toContain(`More failed; all of them are in ${input}.report.jsonl.`);
  await writeFile(input, lineOf(7001));
  const refused = await program.run(['import', input, '--report', join(dir, 'no', 'where')], env());
  expect(refused).toMatchObject({ code: 2, out: '', err: expect.stringContaining('The report cannot be written to') });
  expect((await users()).includes('user-7001')).toBe(false);
});

test('a key that ends in the middle ends the import: no line is failed for it', async () => {
  const input = join(dir, 'ended-key.jsonl');
  const count = 60;
  await writeFile(input, Array.from({ length: count }, (_, n) => lineOf(8000 + n)).join('\n'));
  const { key } = await world.clientWith(['connect', 'admin']);
  const running = program.start(['--json', 'import', input, '--concurrency', '1'], { ...env(), GRANTRY_API_KEY: key });
  while ((await reportOf(`${input}.report.jsonl`)).length < 3) await sleep(5);
  const [newest] = (await world.root.call<{ data: { id: string }[] }>('GET', '/v1/api-keys')).data;
  await world.root.call('DELETE', `/v1/api-keys/${newest?.id}`);
  const { code, out, err } = await running.ended;
  expect([code, JSON.parse(err).code]).toEqual([4, 'unauthorized']);
  const counts = JSON.parse(out);
  expect(counts.failed).toBe(0);
  expect(counts.imported + counts.not_sent).toBe(count);
  expect((await program.run(['import', input], env())).out).toContain(`${counts.not_sent} imported, ${counts.imported} done before, 0 failed.`);
});
