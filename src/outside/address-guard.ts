import { Resolver, lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicAddress } from '../protocol/address.ts';
import { GrantryError } from '../protocol/errors.ts';

export type Address = { readonly address: string; readonly family: number };
/** All addresses of a host name; throws when there are none. */
export type Resolve = (hostname: string) => Promise<readonly Address[]>;

/**
 * Asks the name servers (those of the system by default), A and AAAA. Not `getaddrinfo`: that holds one of the
 * process's few pool threads for as long as somebody's name server likes to be silent.
 */
export function createNameServerResolve({ servers, timeoutMs = 2_000 }: { servers?: readonly string[]; timeoutMs?: number } = {}): Resolve {
  const resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  return async (hostname) => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    if (four.status === 'rejected' && six.status === 'rejected') throw four.reason;
    return [
      ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
      ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
    ];
  };
}

/** Asks as the rest of the machine does, hosts file and all: for `localhost` and its like. */
const resolveAsSystem: Resolve = (hostname) => systemLookup(hostname, { all: true });

export type AddressGuard = {
  /** The check for a host that is an address itself: `lookup` is never called for one. Throws `address_refused`. */
  checkHost(hostname: string): void;
  /**
   * A lookup for `net.connect` that gives out only what it has checked, so that the connection goes where the check
   * looked. One address that is not public spoils them all: an honest provider has none. Fails with `address_refused`.
   */
  lookup: LookupFunction;
  /** The last look, at the other end of the connection that was made. */
  isAllowedPeer(remoteAddress: string | undefined): boolean;
  refusal(): GrantryError;
};

/** Keeps connections away from addresses that are not public; lets all pass when private hosts are allowed. */
export function createAddressGuard({ allowPrivateHosts, resolve }: { allowPrivateHosts: boolean; resolve?: Resolve }): AddressGuard {
  const resolveAll = resolve ?? (allowPrivateHosts ? resolveAsSystem : createNameServerResolve());
  const isAllowed = (address: string) => isIP(address) !== 0 && (allowPrivateHosts || isPublicAddress(address));
  const refusal = () => new GrantryError('address_refused', { detail: 'The host is not a public one.' });

  async function addressesOf(hostname: string): Promise<Address[]> {
    // Copied, so that what is checked is what is given out.
    const addresses = (await resolveAll(hostname)).map(({ address }) => ({ address, family: isIP(address) }));
    if (addresses.length === 0) throw new Error('ENODATA');
    if (!addresses.every(({ address }) => isAllowed(address))) throw refusal();
    return addresses;
  }

  return {
    checkHost(hostname) {
      if (isIP(hostname) !== 0 && !isAllowed(hostname)) throw refusal();
    },
    lookup(hostname, options, callback) {
      addressesOf(hostname).then(
        (addresses) => {
          const [first] = addresses;
          if (options.all === true || first === undefined) callback(null, addresses);
          else callback(null, first.address, first.family);
        },
        (error) => callback(error, []),
      );
    },
    isAllowedPeer: (remoteAddress) => remoteAddress !== undefined && isAllowed(remoteAddress),
    refusal,
  };
}
