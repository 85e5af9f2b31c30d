import { receiveCallback } from '../../../src/broker/flow/callback.ts';
import { errorTable } from '../../../src/protocol/errors.ts';
import { callbackParameters } from '../../../src/web/connect/callback-query.ts';
import { saidBy } from '../callback-oracle.ts';
import { type Callback, callbackOf } from '../callbacks.ts';
import { createChance } from '../chance.ts';
import { type Flow, startFlows } from '../flows.ts';
import { must, type Property } from '../property.ts';
import { mustBeUnpolluted } from '../token-oracle.ts';

/** Now and then the true callback comes afterwards. */
const share = 0.15;

/**
 * A callback leads to an exchange exactly when an independent reader says that it is one to exchange, with that code and at the right host; one that
 * no flow waits for changes nothing, and the true one still works; whatever else is wrong ends its own flow and no other.
 */
export const callbacks: Property = {
  name: 'callback queries',
  runs: 200_000,
  reaches: {
    exchanged: 0.1,
    held: 0.01,
    unknown: 0.2,
    failed: 0.15,
    'another code': 0.01,
    'true one afterwards: exchanged': 0.03,
    'true one afterwards: too late': 0.04,
  },
  async prepare() {
    const { world, model, flows, sent, reset } = await startFlows(createChance(1));

    const receive = async ({ query, arrivedAt, browser }: Pick<Callback, 'query' | 'arrivedAt' | 'browser'>) => {
      const parameters = callbackParameters(`${new URL(arrivedAt).pathname}?${query}`);
      return parameters === undefined ? { kind: 'unknown' as const } : receiveCallback(world, { parameters, arrivedAt, browser });
    };
    const statusOf = ({ link }: Flow) => model.links.get(link.id)?.status;

    /** To the right endpoint, once, with this code. */
    function mustBeSentOnce({ variant }: Flow, code: string): void {
      must(sent.length === 1, `${sent.length} exchanges`, 'bad exchange');
      const { url = '', body = '', headers } = sent[0] ?? {};
      must(/^https:\/\/(?:as|eu|us)\.acme\.com\/(?:token|access_token)$/.test(url), `sent to ${url}`, 'bad exchange');
      if (variant.startsWith('oauth1'))
        must(headers?.['authorization']?.includes(`oauth_token="${code}"`) === true, 'another token was sent', 'bad exchange');
      else must(new URLSearchParams(body).get('code') === code, 'another code was sent', 'bad exchange');
    }

    return {
      shown: (draft) => {
        const { flow, query, arrivedAt, browser } = callbackOf(draft, flows);
        return { variant: flow.variant, query, arrivedAt, browser: browser === flow.browser ? 'its own' : browser, truth: flow.truth };
      },
      async check(draft, count) {
        reset();
        const callback = callbackOf(draft, flows);
        const { flow, code } = saidBy(callback, flows);
        const before = new Map(model.links);
        const outcome = await receive(callback);
        mustBeUnpolluted();

        if (flow === undefined) {
          must(sent.length === 0, 'an exchange for a callback that nobody waits for', 'bad exchange');
          must(outcome.kind === 'unknown', `a callback that nobody waits for: ${outcome.kind}`);
          for (const [id, row] of before) must(model.links.get(id) === row, 'a callback that nobody waits for has changed a flow');
          count('unknown');
        } else if (code === undefined) {
          must(sent.length === 0, 'an exchange for a callback that is wrong', 'bad exchange');
          must(outcome.kind === 'failed' && Object.hasOwn(errorTable, outcome.code), `a callback that is wrong: ${outcome.kind}`);
          count('failed');
        } else if (flow.variant === 'verified') {
          must(sent.length === 0, 'an exchange before the end user was confirmed', 'bad exchange');
          must(outcome.kind === 'confirm' && statusOf(flow) === 'confirming', `not held: ${outcome.kind}`);
          count('held');
        } else {
          mustBeSentOnce(flow, code);
          // The provider of these flows says no to every code.
          must(outcome.kind === 'failed' && outcome.code === 'exchange_failed', `exchanged: ${outcome.kind}`);
          count(code === flow.code ? 'exchanged' : 'another code');
        }
        must(!callback.isPlain || code === callback.flow.code, 'a true callback was refused');
        if (flow !== undefined) {
          must(model.links.get(flow.link.id)?.state_hash === null, 'a state was not used up');
          for (const [id, row] of before) must(id === flow.link.id || model.links.get(id) === row, 'another flow was changed');
        }

        const after = createChance(draft[0] ^ 0x5eed);
        if (!after.is(share)) return;
        sent.length = 0;
        model.ledger.clear();
        const truth = callback.flow;
        const query = new URLSearchParams(truth.truth).toString();
        const last = await receive({ query, arrivedAt: truth.link.redirect_uri, browser: truth.browser });
        if (flow === truth) {
          must(sent.length === 0 && last.kind === 'unknown', 'a flow that was finished took the true callback as well', 'bad exchange');
          return count('true one afterwards: too late');
        }
        if (truth.variant === 'verified') must(sent.length === 0 && last.kind === 'confirm', `the true callback afterwards: ${last.kind}`);
        else mustBeSentOnce(truth, truth.code);
        count('true one afterwards: exchanged');
      },
    };
  },
};
