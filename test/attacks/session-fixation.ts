import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { returnUrl, type Stage } from './stage.ts';

/** The victim authorizes a flow that the attacker has begun, so that her account would be connected to him. */

/** The integrator's server knows who is signed in where the nonce arrives. */
async function integratorConfirms(stage: Stage, { id, location, endUser }: { id: string; location: string; endUser: string }): Promise<void> {
  const nonce = URL.canParse(location) ? new URL(location).searchParams.get('nonce') : null;
  if (nonce === null) return;
  await stage.root.call('POST', `/v1/connect-links/${id}/confirm`, { body: { nonce, end_user_id: endUser } }).catch(() => {});
}

const fixation = (integration: 'own' | 'verified', sends: 'link' | 'authorize URL', falls: Attack['falls']): Attack => ({
  name: `session fixation, ${integration === 'own' ? 'as it comes' : 'verification "user"'}: the victim is sent the ${sends}`,
  falls,
  async run(stage) {
    const [attacker, victim] = [stage.fresh('attacker'), stage.fresh('victim')];
    stage.providers.authorizationServer.switches.autoApprove = { user: victim };
    const link = await stage.linkTo(integration, { end_user: { id: attacker }, return_url: returnUrl });
    const victims = createBrowser();
    const authorizeUrl = await stage.begin(link, sends === 'link' ? victims : createBrowser());
    const back = await victims.open(authorizeUrl, { stopBefore: `${stage.url}/oauth/callback` });
    const { status, location } = await stage.visit(back.location ?? '', victims);
    await integratorConfirms(stage, { id: link.id, location, endUser: victim });
    if (await stage.holds(attacker, victim)) return succeeded("the victim's account is connected to the attacker");
    return stopped(`the callback: ${status}, the link: ${(await stage.stateOf(link)).error?.code}`);
  },
});

export const sessionFixation: Attack[] = [
  fixation('own', 'authorize URL', [['flow cookie']]),
  fixation('verified', 'authorize URL', [['flow cookie', 'end user confirmed']]),
  fixation('verified', 'link', [['end user confirmed']]),
  {
    name: 'session fixation, request forgery: a page elsewhere presses the button of the link for the victim',
    falls: [['form token', 'SameSite cookie']],
    async run(stage) {
      const [attacker, victim] = [stage.fresh('attacker'), stage.fresh('victim')];
      stage.providers.authorizationServer.switches.autoApprove = { user: victim };
      const link = await stage.linkTo('own', { end_user: { id: attacker } });
      const victims = createBrowser();
      await victims.open(link.url);
      stage.serve('/press', {
        headers: { 'content-type': 'text/html' },
        body: `<form method="post" action="${link.url}"><button>win</button></form>`,
      });
      const { status } = await (await victims.open(`${stage.evil.url}/press`)).submit();
      if (await stage.holds(attacker, victim)) return succeeded("the victim's account is connected to the attacker, and she saw no page of ours");
      return stopped(`the form: ${status}`);
    },
  },
];
