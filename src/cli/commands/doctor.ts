import type { Command } from 'commander';
import { BrokerUnreachable, GrantryProblem, UnreadableAnswer } from '../../client/client.ts';
import { type Work, work } from '../command.ts';
import { FailedWork } from '../outcome.ts';

type Check = { check: string; outcome: 'ok' | 'warning' | 'failed'; what: string; advice?: string };
type Diagnostics = { checks: Check[]; public_url: string };

/** The longest difference of clocks that nothing suffers from. */
const mostSkewS = 5;

/** The longest that a broker may take to look at itself: it waits for what does not answer. */
const mostDiagnosisMs = 60_000;

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such name is known',
  EAI_AGAIN: 'names cannot be looked up at the moment',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection is cut off',
  EHOSTUNREACH: 'no way leads there',
  ENETUNREACH: 'no way leads there',
};

/** Why there was no answer. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'there was no answer within 10 s';
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return reasons[code] ?? (code === '' || code.startsWith('HPE_') ? 'what answers is not HTTP' : code);
}

/** When it came is known, for its Date. `isBroker`: it says of itself that it is one. */
type Reached = { kind: 'answered'; status: number; date: string | null; atMs: number; location: string | null; isBroker: boolean };

async function reach(url: string): Promise<Reached | { kind: 'silent'; why: string }> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(10_000) });
    const atMs = Date.now();
    const { status, headers } = response;
    const body = await response.json().catch(() => undefined);
    return { kind: 'answered', status, date: headers.get('date'), atMs, location: headers.get('location'), isBroker: body?.status === 'ok' };
  } catch (error) {
    return { kind: 'silent', why: reasonOf(error) };
  }
}

/** Why what is there is no broker. */
function strangeness(reached: Awaited<ReturnType<typeof reach>>): string | undefined {
  if (reached.kind === 'silent') return reached.why;
  if (reached.location !== null) return `it sends callers on to ${reached.location}`;
  return reached.isBroker ? undefined : `HTTP ${reached.status}, and not in the words of a broker`;
}

/** What the broker finds when it looks at itself; that it cannot say is a finding too. */
async function fromInside({ client }: Work): Promise<{ checks: Check[]; publicUrl?: string }> {
  const check = 'diagnostics';
  try {
    const { checks, public_url } = await client.call<Diagnostics>('GET', '/v1/diagnostics', { timeoutMs: mostDiagnosisMs });
    return { checks, publicUrl: public_url };
  } catch (error) {
    if (error instanceof BrokerUnreachable || error instanceof UnreadableAnswer)
      return { checks: [{ check, outcome: 'failed', what: 'It did not answer to the end.', advice: 'Look at its log, and try again.' }] };
    if (!(error instanceof GrantryProblem)) throw error;
    const refused = error.status === 401 || error.status === 403;
    const words: Readonly<Record<number, string>> = {
      401: 'The broker does not know this key.',
      403: 'This key may not ask what the broker finds.',
    };
    return {
      checks: [
        {
          check,
          outcome: 'failed',
          what: words[error.status] ?? `The broker does not say what it finds: ${error.code}: ${error.message}`,
          advice: refused ? 'Give the root key, by GRANTRY_API_KEY or --api-key-file.' : 'Look at its log.',
        },
      ],
    };
  }
}

function clockCheck({ date, atMs }: Reached): Check {
  const check = 'clock';
  const skewS = Math.abs(Date.parse(date ?? '') - atMs) / 1000;
  if (Number.isNaN(skewS))
    return { check, outcome: 'warning', what: 'The answer has no Date.', advice: 'Let the proxy in front leave that header in.' };
  if (skewS <= mostSkewS) return { check, outcome: 'ok', what: 'Its clock and the one of this machine agree.' };
  return {
    check,
    outcome: 'warning',
    what: `Its clock and the one of this machine are ${Math.round(skewS)} s apart.`,
    advice: 'Keep both with NTP: signatures of OAuth 1.0a and lifetimes depend on it.',
  };
}

async function publicAddressCheck(publicUrl: string): Promise<Check> {
  const check = 'public address';
  const why = strangeness(await reach(`${publicUrl}/healthz`));
  if (why === undefined) return { check, outcome: 'ok', what: `${publicUrl} leads to a broker.` };
  return {
    check,
    outcome: 'failed',
    what: `${publicUrl} does not lead to a broker, seen from here: ${why}.`,
    advice: 'Browsers must reach it: look at DNS, TLS and the proxy, or set PUBLIC_URL.',
  };
}

async function allOf(on: Work): Promise<Check[]> {
  let url = on.url;
  while (url.endsWith('/')) url = url.slice(0, -1);
  const health = await reach(`${url}/healthz`);
  const why = strangeness(health);
  if (health.kind === 'silent' || why !== undefined) {
    const what = health.kind === 'silent' ? `Nothing answers at ${url}: ${why}.` : `What answers at ${url} is no broker: ${why}.`;
    return [{ check: 'broker', outcome: 'failed', what, advice: 'Start the broker, or set GRANTRY_URL to its address.' }];
  }
  const [ready, { checks, publicUrl }] = await Promise.all([reach(`${url}/readyz`), fromInside(on)]);
  return [
    { check: 'broker', outcome: 'ok', what: `It answers at ${url}.` },
    ready.kind === 'answered' && ready.status === 200
      ? { check: 'readiness', outcome: 'ok', what: 'It takes requests.' }
      : { check: 'readiness', outcome: 'failed', what: 'It says that it is not ready.', advice: 'Look at its log; most often Postgres is away.' },
    clockCheck(health),
    ...(publicUrl === undefined ? [] : [await publicAddressCheck(publicUrl)]),
    ...checks,
  ];
}

const sign = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' } as const;

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('checks configuration, database, Redis, keys, clocks and the public address (with the root key)')
    .action(
      work<[]>(async (on) => {
        const checks = await allOf(on);
        const failed = checks.filter(({ outcome }) => outcome === 'failed').length;
        on.out.result(checks, () =>
          checks
            .map(({ check, outcome, what, advice }) =>
              [`${sign[outcome]} ${check}: ${what}`, ...(advice === undefined ? [] : [`        ${advice}`])].join('\n'),
            )
            .join('\n'),
        );
        if (failed > 0) throw new FailedWork(`${failed} of ${checks.length} checks failed.`);
      }),
    );
}
