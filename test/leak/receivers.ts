import { type Stage, until } from './stage.ts';

/** Webhooks: one receiver takes everything, one refuses, one redirects; all tell what they heard. */

export async function addReceivers({ root, markers, talker }: Stage): Promise<void> {
  for (const [owner, manner] of [
    ['hooks', 'well'],
    ['hooks-refuse', 'refuses'],
    ['hooks-redirect', 'redirects'],
  ] as const) {
    talker.answers(owner, 'in', manner);
    const { secret, id } = await root.call<{ secret: string; id: string }>('POST', '/v1/webhook-endpoints', {
      body: { url: `${talker.url}/${owner}/in`, event_types: owner === 'hooks' ? [] : ['connection.created'] },
    });
    markers.note('webhook secret', owner, secret.replace('whsec_', ''));
    const rotated = await root.call<{ secret: string }>('POST', `/v1/webhook-endpoints/${id}/rotate-secret`, { body: { overlap: 3600 } });
    markers.note('webhook secret', owner, rotated.secret.replace('whsec_', ''));
  }
}

export async function lookAtReceivers({ root, talker }: Stage): Promise<void> {
  for (const owner of ['hooks', 'hooks-refuse', 'hooks-redirect'])
    await until(
      () => talker.heard.filter((each) => each.owner === owner).length,
      (count) => count > 4,
    );
  const { data } = await root.call<{ data: { id: string }[] }>('GET', '/v1/webhook-deliveries');
  for (const { id } of data.slice(0, 3)) await root.call('GET', `/v1/webhook-deliveries/${id}`);
  for (const status of ['pending', 'delivered', 'failed']) await root.call('GET', `/v1/webhook-deliveries?status=${status}`);
  await root.call('GET', '/v1/webhook-endpoints');
}
