import type { Command } from 'commander';
import { BrokerUnreachable, GrantryProblem } from '../../client/client.ts';
import { type Work, work } from '../command.ts';
import { FailedWork } from '../outcome.ts';

type Check = { check: string; outcome: 'ok' | 'warning' | 'failed'; what: string; advice?: string };
type Diagnostics = { checks: Check[]; public_url: string };

/** The longest difference of clocks that nothing suffers from. */
const mostSkewS = 5;

async function reach(url: string): Promise<Response | undefined> {
  try {
    return await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(10_000) });
  } catch {
    return undefined;
  }
}

/** What the broker finds when it looks at itself; that it cannot say is a finding too. */
async function fromInside({ client }: Work): Promise<{ checks: Check[]; publicUrl?: string }> {
  const check = 'diagnostics';
  try {
    const { checks, public_url } = await client.call<Diagnostics>('GET', '/v1/diagnostics');
    return { checks, publicUrl: public_url };
  } catch (error) {
    if (error instanceof BrokerUnreachable)
      return { checks: [{ check, outcome: 'failed', what: 'It did not answer to the end.', advice: 'Look at its log, and try again.' }] };
    if (!(error instanceof GrantryProblem)) throw error;
    const refused = error.status === 401 || error.status === 403;
    return {
      checks: [
        {
          check,
          outcome: 'failed',
          what: refused ? 'This key may not ask what the broker finds.' : `The broker does not say what it finds: ${error.code}: ${error.message}`,
          advice: refused ? 'Give the root key, by GRANTRY_API_KEY or --api-key-file.' : 'Look at its log.',
        },
      ],
    };
  }
}

function clockCheck(date: string | null): Check {
  const check = 'clock';
  const skewS = Math.abs(Date.parse(date ?? '') - Date.now()) / 1000;
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
  const outside = await reach(`${publicUrl}/healthz`);
  const ours = await outside?.json().catch(() => undefined);
  if (ours?.status === 'ok') return { check, outcome: 'ok', what: `${publicUrl} leads to a broker.` };
  return {
    check,
    outcome: 'failed',
    what: `${publicUrl} does not lead to a broker, seen from here.`,
    advice: 'Browsers must reach it: look at DNS, TLS and the proxy, or set PUBLIC_URL.',
  };
}

async function allOf(on: Work): Promise<Check[]> {
  const { url } = on;
  const health = await reach(`${url}/healthz`);
  if (health === undefined || !health.ok)
    return [
      { check: 'broker', outcome: 'failed', what: `Nothing answers at ${url}.`, advice: 'Start the broker, or set GRANTRY_URL to its address.' },
    ];
  const ready = await reach(`${url}/readyz`);
  const { checks, publicUrl } = await fromInside(on);
  return [
    { check: 'broker', outcome: 'ok', what: `It answers at ${url}.` },
    ready?.ok === true
      ? { check: 'readiness', outcome: 'ok', what: 'It takes requests.' }
      : { check: 'readiness', outcome: 'failed', what: 'It says that it is not ready.', advice: 'Look at its log; most often Postgres is away.' },
    clockCheck(health.headers.get('date')),
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
