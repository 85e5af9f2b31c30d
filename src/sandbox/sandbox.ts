import { type SandboxAs, startAuthorizationServer } from './authorization-server.ts';
import { type SandboxHostile, startHostile } from './hostile.ts';
import { type SandboxKeyService, startKeyService } from './key-service.ts';
import { type SandboxNexmo, startNexmo } from './nexmo.ts';
import { type SandboxPhonegap, startPhonegap } from './phonegap.ts';

export type Sandbox = {
  providers: {
    authorizationServer: SandboxAs;
    phonegap: SandboxPhonegap;
    nexmo: SandboxNexmo;
    keyService: SandboxKeyService;
    hostile: SandboxHostile;
  };
  /** Ends every server, socket and timer. */
  stop(): Promise<void>;
};

/**
 * Starts local providers that behave like the real ones, each on a free port of 127.0.0.1. For the demo and the tests.
 * `publicUrl` is the broker's address: its shared callback is registered at each provider; further ones with `registerRedirectUri`.
 * Let the broker be at `http://localhost`: cookies know no ports, so the two names keep the broker's and the providers' apart.
 */
export async function startSandbox({ publicUrl }: { publicUrl: string; host?: '127.0.0.1' }): Promise<Sandbox> {
  const sharedCallback = `${publicUrl.replace(/\/$/, '')}/oauth/callback`;
  const redirectUris = [sharedCallback];
  const [authorizationServer, phonegap, nexmo, keyService, hostile] = await Promise.all([
    startAuthorizationServer({ redirectUris }),
    startPhonegap(),
    startNexmo({ redirectUris }),
    startKeyService(),
    startHostile({ redirectUris }),
  ]);
  phonegap.provider.registerRedirectUri(sharedCallback);

  return {
    providers: {
      authorizationServer: authorizationServer.provider,
      phonegap: phonegap.provider,
      nexmo: nexmo.provider,
      keyService: keyService.provider,
      hostile: hostile.provider,
    },
    stop: async () => {
      await Promise.all([authorizationServer, phonegap, nexmo, keyService, hostile].map(({ listener }) => listener.stop()));
    },
  };
}
