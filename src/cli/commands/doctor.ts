import type { Command } from 'commander';
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

async function fromOutside({ url, client }: Work): Promise<Check[]> {
  const health = await reach(`${url}/healthz`);
  if (health === undefined || !health.ok)
    return [
      { check: 'broker', outcome: 'failed', what: `Nothing answers at ${url}.`, advice: 'Start the broker, or set GRANTRY_URL to its address.' },
    ];
  const skewS = Math.abs(Date.parse(health.headers.get('date') ?? '') - Date.now()) / 1000;
  const ready = await reach(`${url}/readyz`);
  const { checks, public_url } = await client.call<Diagnostics>('GET', '/v1/diagnostics');
  const outside = await reach(`${public_url}/healthz`);
  const ours = await outside?.json().catch(() => undefined);
  return [
    { check: 'broker', outcome: 'ok', what: `It answers at ${url}.` },
    ready?.ok === true
      ? { check: 'readiness', outcome: 'ok', what: 'It takes requests.' }
      : { check: 'readiness', outcome: 'failed', what: 'It says that it is not ready.', advice: 'Look at its log; most often Postgres is away.' },
    skewS <= mostSkewS
      ? { check: 'clock', outcome: 'ok', what: 'Its clock and the one of this machine agree.' }
      : {
          check: 'clock',
          outcome: 'warning',
          what: `Its clock and the one of this machine are ${Math.round(skewS)} s apart.`,
          advice: 'Keep both with NTP: signatures of OAuth 1.0a and lifetimes depend on it.',
        },
    ours?.status === 'ok'
      ? { check: 'public address', outcome: 'ok', what: `${public_url} leads to a broker.` }
      : {
          check: 'public address',
          outcome: 'failed',
          what: `${public_url} does not lead to a broker, seen from here.`,
          advice: 'Browsers must reach it: look at DNS, TLS and the proxy, or set PUBLIC_URL.',
        },
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
        const checks = await fromOutside(on);
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
