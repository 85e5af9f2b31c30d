import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { type Honest, honests, namesIssuer, type Stage } from './stage.ts';

/**
 * Cross-app account takeover: the victim connects the evil provider, which sends her on to the honest one with the state of the evil flow
 * and the attacker's own challenge; the broker would give her code to the evil token endpoint, and the attacker puts it into his own flow.
 */

export type Evil = { integration: 'evil' | 'impostor'; project?: 'elsewhere' };

async function steal(stage: Stage, honest: Honest, { integration, project }: Evil) {
  const { fresh, mislead, captured, providers } = stage;
  const [attacker, victim] = [fresh('attacker'), fresh('victim')];
  const browser = createBrowser();
  const authorizeUrl = new URL(await stage.begin(await stage.linkTo(honest, { end_user: { id: attacker } }), browser));
  mislead((state) => {
    const copy = new URL(authorizeUrl);
    copy.searchParams.set('state', state);
    return copy.href;
  });
  providers.authorizationServer.switches.autoApprove = { user: victim };
  const victims = createBrowser();
  const link = await stage.linkTo(integration, { end_user: { id: victim } }, project);
  const callback = await stage.walk(link, victims);
  const iss = callback.searchParams.get('iss') ?? '';
  // A server that does not know RFC 9207 sends none.
  if (!namesIssuer(honest)) callback.searchParams.delete('iss');
  if (callback.searchParams.get('code') === null) throw new Error('The honest provider gave no code.');
  const { status } = await stage.visit(callback, victims);
  const code = captured.map((form) => form.get('code')).find((given) => given === callback.searchParams.get('code'));
  return { attacker, victim, browser, authorizeUrl, code: code ?? undefined, iss, status };
}

const named = (honest: Honest, { integration, project }: Evil) =>
  `${integration === 'evil' ? 'COAT' : "mix-up, the honest issuer's name"}, ${honest}, evil in ${project === undefined ? 'the same' : 'another'} project`;

/** An impostor names the honest issuer, so that the issuer tells nothing. */
const issuerHolds = (honest: Honest, { integration }: Evil) => integration === 'evil' && namesIssuer(honest);

export const theft = (honest: Honest, evil: Evil): Attack => ({
  name: `${named(honest, evil)}: the code is stolen`,
  falls: [issuerHolds(honest, evil) ? ['own callback', 'issuer'] : ['own callback']],
  async run(stage) {
    const { code, status } = await steal(stage, honest, evil);
    return code === undefined ? stopped(`the victim's callback: ${status}`) : succeeded("the victim's code reached the evil token endpoint");
  },
});

export const takeover = (honest: Honest, evil: Evil): Attack => ({
  name: `${named(honest, evil)}: the account is taken over`,
  falls: [issuerHolds(honest, evil) ? ['own callback', 'issuer', 'code ledger'] : ['own callback', 'code ledger']],
  async run(stage) {
    const { code, attacker, victim, browser, authorizeUrl, iss } = await steal(stage, honest, evil);
    if (code === undefined) return stopped('no code to inject');
    const injected = new URL(authorizeUrl.searchParams.get('redirect_uri') ?? '');
    injected.search = new URLSearchParams({
      code,
      state: authorizeUrl.searchParams.get('state') ?? '',
      ...(namesIssuer(honest) && { iss }),
    }).toString();
    const { status } = await stage.visit(injected, browser);
    if (await stage.holds(attacker, victim)) return succeeded("the victim's account is connected to the attacker");
    return stopped(`the injected code: ${status}`);
  },
});

const evils: Evil[] = [{ integration: 'evil' }, { integration: 'evil', project: 'elsewhere' }];

export const coat: Attack[] = [...honests.flatMap((honest) => evils.flatMap((evil) => [theft(honest, evil), takeover(honest, evil)]))];
