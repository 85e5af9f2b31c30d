import type { Door, DoorRequest, DoorResponse } from '../../src/protocol/door.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import type { SentRequest } from './ledger.ts';
import { garbage, type Processed, type Provider, unavailable } from './provider.ts';
import type { Meanwhile } from './scenario.ts';
import type { Stage } from './stage.ts';
import type { Life } from './virtual-time.ts';

/** The door of one process onto the model providers, with the real one's deadline. */

const deadlineMs = 10_000;
const never = new Promise<never>(() => {});
const known = new Set(['invalid_grant', 'invalid_client', 'invalid_request', 'temporarily_unavailable']);

export function createSimulatedDoor(stage: Stage, life: Life): Door {
  const { time, chance, ledger } = stage;

  return (request: DoorRequest) => {
    if (!life.alive) return never;
    const url = new URL(request.url);
    const provider = stage.providers.find(({ host }) => host === url.host)!;
    const isRefresh = url.pathname === '/token';
    const refreshToken = new URLSearchParams(request.body).get('refresh_token') ?? '';
    const connection = provider.grantOfRefresh(refreshToken)?.connection ?? '';
    const sent = isRefresh ? ledger.sent(life, url.host, connection, refreshToken) : undefined;
    const fault = stage.doorFault();
    const outage = stage.outages.find(({ host, fromMs, toMs }) => host === url.host && fromMs <= time.nowMs() && time.nowMs() < toMs);
    stage.trace?.(
      life.name,
      `POST ${request.url} ${refreshToken}${fault === undefined ? '' : ` (${fault})`}${outage === undefined ? '' : ` (${outage.how})`}`,
    );

    if (isRefresh && isMeanwhile(fault)) stage.meanwhile(fault, connection, life);

    return new Promise<DoorResponse>((resolve, reject) => {
      let over = false;
      const end = (done: () => void): void => {
        if (over) return;
        over = true;
        done();
      };
      const fail = (code: 'no_answer' | 'provider_unreachable', ms: number) =>
        time.after(
          ms,
          () =>
            end(() => {
              judge(sent, code === 'no_answer' ? 'unknown' : 'known_failure');
              reject(new GrantryError(code));
            }),
          life,
        );
      const answer = (processed: Processed) =>
        end(() => {
          const { tokens } = processed;
          const isDecision = processed.answer.status < 300 || known.has(String(JSON.parse(processed.answer.body).error));
          judge(
            sent,
            processed.answer.status < 300 && tokens !== undefined
              ? 'known_success'
              : isDecision || processed.answer.status >= 400
                ? 'known_failure'
                : 'unknown',
          );
          if (sent !== undefined && tokens !== undefined && processed.answer.status < 300) ledger.arrivedAt(sent, tokens.access_token);
          stage.trace?.(life.name, `answer ${processed.answer.status} ${processed.answer.body}`);
          resolve(processed.answer);
        });

      if (fault === 'unreachable' || outage?.how === 'unreachable') return void fail('provider_unreachable', 20);
      fail('no_answer', fault === 'lost_request' ? chance.below(deadlineMs) : deadlineMs);
      if (fault === 'lost_request' || outage?.how === 'silent') return;
      const thereMs = fault === 'late' ? 30_000 + chance.below(30_000) : fault === 'slow' ? 6_000 : 5 + chance.below(40);
      time.after(thereMs, () => {
        const processed = processedBy(stage, provider, request, outage?.how);
        if (sent !== undefined) ledger.processed(sent, processed);
        if (fault === 'crash_after_send') return stage.crash(life);
        if (fault === 'lost_answer') return void fail('no_answer', chance.below(5_000));
        if (fault === 'garbage') {
          const unread = { ...processed, answer: garbage };
          return void time.after(
            5,
            () =>
              end(() => {
                judge(sent, 'unknown');
                resolve(unread.answer);
              }),
            life,
          );
        }
        const told = fault === 'refused_after' ? { answer: unavailable(), refreshToken } : processed;
        time.after(
          (fault === 'slow' ? 6_000 : 5) + chance.below(40),
          () => {
            if (fault === 'crash_at_answer') return stage.crash(life);
            answer(told);
          },
          life,
        );
      });
    });
  };
}

const inBetween: readonly unknown[] = ['delete', 'stop', 'reconnect', 'patch', 'pause'];
const isMeanwhile = (fault: string | undefined): fault is Meanwhile => inBetween.includes(fault);

function judge(sent: SentRequest | undefined, verdict: SentRequest['verdict']): void {
  if (sent !== undefined) sent.verdict = verdict;
}

function processedBy(stage: Stage, provider: Provider, request: DoorRequest, outage: string | undefined): Processed {
  if (outage === 'refusing') return { answer: unavailable(), refreshToken: '' };
  if (outage === 'busy') return { answer: unavailable(5 + Math.floor(stage.chance.below(60))), refreshToken: '' };
  return provider.process(request);
}
