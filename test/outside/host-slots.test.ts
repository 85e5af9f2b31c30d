import { describe, expect, it } from 'vitest';
import { createHostSlots } from '../../src/outside/host-slots.ts';
import { isGrantryError } from '../../src/protocol/errors.ts';

const never = new AbortController().signal;
const unreachable = (error: unknown) => isGrantryError(error, 'provider_unreachable') && error.details.nature === 'crowded';

describe('createHostSlots', () => {
  it('gives out so many slots of a host, and the next when one comes back, in order', async () => {
    const slots = createHostSlots({ perHost: 2, maxWaiting: 10 });
    const order: string[] = [];
    const first = await slots.take('a', never);
    const second = await slots.take('a', never);
    const third = slots.take('a', never).then((release) => {
      order.push('third');
      return release;
    });
    const fourth = slots.take('a', never).then((release) => {
      order.push('fourth');
      return release;
    });
    await Promise.resolve();
    expect(order).toEqual([]);
    second();
    await third;
    expect(order).toEqual(['third']);
    first();
    await fourth;
    expect(order).toEqual(['third', 'fourth']);
  });

  it('does not let one host wait for another', async () => {
    const slots = createHostSlots({ perHost: 1, maxWaiting: 1 });
    await slots.take('a', never);
    expect(await slots.take('b', never)).toBeTypeOf('function');
  });

  it('lets only so many wait', async () => {
    const slots = createHostSlots({ perHost: 1, maxWaiting: 1 });
    const release = await slots.take('a', never);
    const waiting = slots.take('a', never);
    await expect(slots.take('a', never)).rejects.toSatisfy(unreachable);
    release();
    expect(await waiting).toBeTypeOf('function');
  });

  it('lets who waits leave, and gives its place to the next', async () => {
    const slots = createHostSlots({ perHost: 1, maxWaiting: 1 });
    const release = await slots.take('a', never);
    const patience = new AbortController();
    const impatient = slots.take('a', patience.signal);
    patience.abort();
    await expect(impatient).rejects.toSatisfy(unreachable);
    await expect(slots.take('a', AbortSignal.abort())).rejects.toSatisfy(unreachable);
    const patient = slots.take('a', never);
    release();
    expect(await patient).toBeTypeOf('function');
  });

  it('counts again from zero when all have come back', async () => {
    const slots = createHostSlots({ perHost: 1, maxWaiting: 1 });
    for (let round = 0; round < 3; round += 1) {
      const release = await slots.take('a', never);
      const waiting = slots.take('a', never);
      release();
      (await waiting)();
    }
    expect(await slots.take('a', never)).toBeTypeOf('function');
  });
});
