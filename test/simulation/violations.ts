/** What must never happen: the guarantees of the refresh engine, by name. */
export const guarantees = {
  one_refresh_per_version: 'No second request for a version while the first one’s outcome is known, or it is still under way within its lease.',
  no_reuse: 'A used refresh token reaches its provider again only after an outcome that nobody knew.',
  honest_tokens: 'What is handed out was issued for this connection, and was its token at some moment of the call, when it was in use.',
  honest_refusals: 'A caller is refused for a reason that was true at some moment of the call.',
  told_losses: 'A grant that is lost is told, with a reason and an event.',
  no_false_alarm: 'When things are quiet, a grant that lives is active, with a token that lives.',
  nothing_undone: 'A reconnect, a patch, a deletion or the security stop is never overwritten or undone.',
  true_timeline: 'The events tell every change of status, in order.',
  outages_kill_nobody: 'No connection dies of an outage.',
  callers_end: 'Every caller is answered in time.',
  answers_are_saved: 'A credential that has arrived is saved, unless something else came first, while its process lives or its spill is there.',
  no_hammering: 'A provider that is down is left alone.',
  patience: 'Nothing is asked before the time that was noted for the next attempt.',
} as const;

export type Guarantee = keyof typeof guarantees;
export type Violation = { guarantee: Guarantee; atMs: number; message: string };

export const violationText = ({ guarantee, atMs, message }: Violation): string =>
  `${guarantee} is violated at ${(atMs / 1000).toFixed(3)} s: ${message}\n  (${guarantees[guarantee]})`;
