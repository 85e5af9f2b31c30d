import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Received, startReceiver } from '../broker/receiver.ts';
import { type Attack, stopped, succeeded } from './attack.ts';

/** Webhook replay: whoever has seen a webhook sends it again, or something like it. The receiver is an integrator's who has read docs/webhooks.md. */

/** By hand, as the documentation says; true for what is taken. */
function integrator(secret: string) {
  const seen = new Set<string>();
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  return function takes({ headers, body }: Received, nowS = Date.now() / 1000): boolean {
    const [id, at] = [String(headers['webhook-id']), String(headers['webhook-timestamp'])];
    const expected = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest();
    const signatures = String(headers['webhook-signature'])
      .split(' ')
      .map((each) => Buffer.from(each.replace(/^v1,/, ''), 'base64'));
    const isSigned = signatures.some((given) => given.length === expected.length && timingSafeEqual(given, expected));
    if (!isSigned || Math.abs(nowS - Number(at)) > 300 || seen.has(id)) return false;
    seen.add(id);
    return true;
  };
}

export const webhookReplay: Attack[] = [
  {
    name: 'webhook replay: again, later, changed, and after an answer that was lost',
    falls: [['one id for all attempts']],
    async run(stage) {
      const receiver = await startReceiver();
      try {
        const { id, secret } = await stage.root.call<{ id: string; secret: string }>('POST', '/v1/webhook-endpoints', {
          body: { url: receiver.url, event_types: ['connection.created'] },
        });
        const takes = integrator(secret);
        let taken = 0;
        receiver.answer = (response, request) => {
          taken += takes(request) ? 1 : 0;
          // It has been taken, and whoever is on the way cuts the line before the answer.
          response.destroy();
        };
        await stage.root.call('POST', '/v1/connections', { body: { integration: 'own', end_user: { id: 'u1' }, import: { access_token: 'at' } } });
        const [delivery] = await stage.sql<{ id: string }>('select id from webhook_deliveries where endpoint_id = $1', [id]);
        for (let attempts = 0; attempts < 2; attempts += 1) {
          await stage.sql('update webhook_deliveries set next_attempt_at = now() where endpoint_id = $1', [id]);
          await stage.deliver(delivery?.id ?? '');
        }
        await stage.root.call('DELETE', `/v1/webhook-endpoints/${id}`);
        const [first] = receiver.received;
        if (first === undefined || receiver.received.length !== 2 || taken === 0) throw new Error('The webhook did not come, and come again.');
        const headers = (change: Record<string, string>) => ({ ...first, headers: { ...first.headers, ...change } });
        const forged = [
          ['another body', { ...first, body: first.body.replace('"u1"', '"u2"') }],
          ['another id', headers({ 'webhook-id': 'evt_of_the_attacker' })],
          [
            'another time',
            headers({ 'webhook-id': `${first.headers['webhook-id']}`, 'webhook-timestamp': String(Math.floor(Date.now() / 1000) + 60) }),
          ],
          ['no signature', headers({ 'webhook-signature': 'v1,' })],
        ] as const;
        const fresh = integrator(secret);
        const late = fresh(first, Date.now() / 1000 + 3_600) ? ['an hour later'] : [];
        const through = [...late, ...forged.filter(([, request]) => integrator(secret)(request)).map(([what]) => what)];
        if (takes(first)) through.push('the same again');
        if (through.length > 0) return succeeded(`taken: ${through.join(', ')}`);
        return taken > 1 ? succeeded('the event was taken twice') : stopped('taken once, and nothing that was forged');
      } finally {
        await receiver.close();
      }
    },
  },
];
