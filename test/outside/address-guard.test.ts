import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Address, createAddressGuard, createNameServerResolve } from '../../src/outside/address-guard.ts';
import { isGrantryError } from '../../src/protocol/errors.ts';
import { privateAddresses } from '../protocol/private-hosts.ts';
import { serveTcp } from './local-servers.ts';
import { serveNames } from './name-server.ts';

const refused = (error: unknown) => isGrantryError(error, 'address_refused');
const guardOf = (...addresses: readonly string[]) =>
  createAddressGuard({ allowPrivateHosts: false, resolve: async () => addresses.map((address) => ({ address, family: 4 })) });
const lookUp = (guard: ReturnType<typeof guardOf>) =>
  new Promise<unknown>((resolve, reject) => guard.lookup('x.org', { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses))));

describe('the guard, private hosts not allowed', () => {
  it.each(privateAddresses)('refuses a name that resolves to %s, alone or among public ones', async (address) => {
    await expect(lookUp(guardOf(address))).rejects.toSatisfy(refused);
    await expect(lookUp(guardOf('1.1.1.1', address, '8.8.8.8'))).rejects.toSatisfy(refused);
  });

  it.each(['127.1', '1.1', '0x1.1.1.1', '1.1.1.1 ', '0x7f000001', 'x.org', ''])(
    'refuses a name that resolves to no plain address: %j',
    async (address) => {
      await expect(lookUp(guardOf(address))).rejects.toSatisfy(refused);
    },
  );

  it('gives out all public addresses with their true family', async () => {
    expect(await lookUp(guardOf('1.1.1.1', '2606:4700::1111'))).toEqual([
      { address: '1.1.1.1', family: 4 },
      { address: '2606:4700::1111', family: 6 },
    ]);
  });

  it('gives out one when one is asked for', async () => {
    const one = new Promise((resolve) => guardOf('1.1.1.1').lookup('x.org', {}, (...answer) => resolve(answer)));
    expect(await one).toEqual([null, '1.1.1.1', 4]);
  });

  it('gives out what it has checked, though the answer changes afterwards', async () => {
    let reads = 0;
    const shifty: Address = {
      get address() {
        reads += 1;
        return reads === 1 ? '1.1.1.1' : '127.0.0.1';
      },
      family: 4,
    };
    expect(await lookUp(createAddressGuard({ allowPrivateHosts: false, resolve: async () => [shifty] }))).toEqual([
      { address: '1.1.1.1', family: 4 },
    ]);
  });

  it('refuses a literal, which no lookup would see', () => {
    expect(() => guardOf().checkHost('127.0.0.1')).toThrow();
    expect(() => guardOf().checkHost('::ffff:127.0.0.1')).toThrow();
    expect(() => guardOf().checkHost('1.1.1.1')).not.toThrow();
    expect(() => guardOf().checkHost('x.org')).not.toThrow();
  });

  it('knows a private peer by the socket', async () => {
    const server = await serveTcp(() => {});
    const socket = connect(server.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    expect(guardOf().isAllowedPeer(socket.remoteAddress)).toBe(false);
    expect(createAddressGuard({ allowPrivateHosts: true }).isAllowedPeer(socket.remoteAddress)).toBe(true);
    socket.destroy();
    expect(createAddressGuard({ allowPrivateHosts: true }).isAllowedPeer(undefined)).toBe(false);
    await server.close();
  });

  it('fails for a name without addresses, otherwise than by refusing', async () => {
    await expect(lookUp(guardOf())).rejects.not.toSatisfy(refused);
  });
});

describe('the name servers', () => {
  let names: Awaited<ReturnType<typeof serveNames>>;
  beforeAll(async () => {
    names = await serveNames({
      'both.org': { a: [1, 1, 1, 1], aaaa: [0x26, 0x06, 0x47, ...Array<number>(12).fill(0), 1] },
      'four.org': { a: [8, 8, 8, 8] },
      'inner.org': { a: [127, 0, 0, 1] },
      'half.org': { a: [1, 1, 1, 1], aaaa: [...Array<number>(15).fill(0), 1] },
    });
  });
  afterAll(() => names.close());
  const resolve = (hostname: string) => createNameServerResolve({ servers: [names.server], timeoutMs: 100 })(hostname);

  it('are asked for both families', async () => {
    expect(await resolve('both.org')).toEqual([
      { address: '1.1.1.1', family: 4 },
      { address: '2606:4700::1', family: 6 },
    ]);
    expect(await resolve('four.org')).toEqual([{ address: '8.8.8.8', family: 4 }]);
    expect(names.asked()).toBeGreaterThanOrEqual(4);
  });

  it('may not know a name or not answer', async () => {
    await expect(resolve('missing.org')).rejects.toThrow();
    await expect(resolve('silent.org')).rejects.toThrow();
  });

  it.each(['inner.org', 'half.org'])('are not believed when %s is said to be here', async (hostname) => {
    const guard = createAddressGuard({ allowPrivateHosts: false, resolve });
    const answer = new Promise((done, fail) => guard.lookup(hostname, { all: true }, (error, addresses) => (error ? fail(error) : done(addresses))));
    await expect(answer).rejects.toSatisfy(refused);
  });
});
