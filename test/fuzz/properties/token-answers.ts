import { join } from 'node:path';
import { createAnswer } from '../../../src/outside/answer.ts';
import { loadShippedProviders } from '../../../src/outside/shipped-providers.ts';
import type { CredentialFields } from '../../../src/protocol/credential.ts';
import type { DoorResponse } from '../../../src/protocol/door.ts';
import { parseTokenAnswer } from '../../../src/protocol/token-answer.ts';
import { must, type Property } from '../property.ts';
import { rulesOf, type TokenAnswer, tokenAnswerOf } from '../token-answers.ts';
import { mustBeRefusal, mustBeSaid, mustBeSane, mustBeUnpolluted } from '../token-oracle.ts';

/** When every request of this property was sent. */
const sentAt = new Date('2026-11-20T12:00:00Z');
const requested = ['read'];

/** As the door reads it, in chunks. */
function received({ status, headers, bytes }: TokenAnswer): DoorResponse {
  const answer = createAnswer({ maxBodyBytes: 65_536, bodiless: false });
  answer.start(status, headers);
  const half = bytes.length >> 1;
  answer.data(bytes.subarray(0, half));
  answer.data(bytes.subarray(half));
  return answer.end();
}

export const tokenAnswers: Property = {
  name: 'token answers',
  runs: 200_000,
  reaches: {
    accepted: 0.15,
    'accepted unchanged': 0.06,
    'accepted as a form': 0.07,
    'refused: bad_provider_answer': 0.25,
    'refused: provider_unavailable': 0.04,
    'refused: invalid_grant': 0.001,
  },
  async prepare({ packageRoot }) {
    const definitions = await loadShippedProviders(join(packageRoot, 'providers'), join(packageRoot, 'dist', 'providers.json'));
    const rules = rulesOf(definitions.values());
    return {
      shown(draft) {
        const { status, headers, bytes, rules: own } = tokenAnswerOf(draft, rules, sentAt);
        return { status, headers, body: bytes.toString('latin1').slice(0, 2_000), response: own.response };
      },
      check(draft, count) {
        const made = tokenAnswerOf(draft, rules, sentAt);
        const { response, separator } = made.rules;
        let answer: DoorResponse | undefined;
        let fields: CredentialFields;
        try {
          answer = received(made);
          fields = parseTokenAnswer(answer, { response, separator, requested, sentAt, refused: 'either', held: undefined });
        } catch (error) {
          const { code } = mustBeRefusal(error);
          must(!made.isPlain, `an answer as the definition describes it was refused as ${code}`);
          count(`refused: ${code}`);
          return mustBeUnpolluted();
        }
        mustBeSane(fields, Object.keys(response.keep));
        mustBeSaid(fields, answer, made.rules);
        mustBeUnpolluted();
        count('accepted');
        if (made.isPlain) count('accepted unchanged');
        if (response.format === 'form') count('accepted as a form');
      },
    };
  },
};
