import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SandboxKeyService } from '../../src/sandbox/key-service.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { startWorld } from './world.ts';

let sandbox: Sandbox;
let service: SandboxKeyService;

beforeAll(async () => {
  sandbox = await startWorld();
  service = sandbox.providers.keyService;
});
afterAll(() => sandbox.stop());

const get = (path: string, headers: Record<string, string>) => fetch(service.url + path, { headers });
const byPassword = (user: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}` });

it('knows the owner of an API key, until the user withdraws it', async () => {
  const key = service.issueKey('alice');
  expect(await (await get('/api/me', { 'X-Api-Key': key })).json()).toEqual({ id: 'alice', name: 'alice' });
  expect((await get('/api/me', { 'X-Api-Key': `${key}x` })).status).toBe(401);
  expect((await get('/api/me', {})).status).toBe(401);
  expect((await get('/basic/me', { 'X-Api-Key': key })).status).toBe(401);
  service.revokeUser('alice');
  expect((await get('/api/me', { 'X-Api-Key': key })).status).toBe(401);
});

it('knows a user by name and password, at both addresses', async () => {
  const password = service.issuePassword('bob');
  for (const path of ['/api/me', '/basic/me']) expect(await (await get(path, byPassword('bob', password))).json()).toMatchObject({ id: 'bob' });
  expect((await get('/basic/me', byPassword('bob', 'wrong'))).status).toBe(401);
  expect((await get('/basic/me', byPassword('nobody', password))).headers.get('www-authenticate')).toContain('Basic');
});

it('fails as the switch says', async () => {
  service.switches.fault = { kind: 'error_500', times: 1 };
  expect((await get('/api/me', {})).status).toBe(500);
  expect((await get('/api/me', {})).status).toBe(401);
});
