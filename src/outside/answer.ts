import type { DoorResponse } from '../protocol/door.ts';
import { GrantryError } from '../protocol/errors.ts';

/** More interim answers (1xx) than anybody has a reason to send. */
const maxInterim = 8;

/** An answer while it arrives. Each step throws `bad_provider_answer` when what came cannot be used. */
export type Answer = {
  /** Status and headers, of interim answers too; `headers` has lower-case names and the values in order. */
  start(status: number, headers: Readonly<Record<string, string | readonly string[] | undefined>>): void;
  data(chunk: Buffer): void;
  end(): DoorResponse;
};

/** Gathers an answer of at most `maxBodyBytes`; `bodiless` for the answer to a HEAD, whose content-length promises nothing. */
export function createAnswer({ maxBodyBytes, bodiless }: { maxBodyBytes: number; bodiless: boolean }): Answer {
  const bad = (detail: string) => new GrantryError('bad_provider_answer', { detail });
  const tooLarge = () => bad(`The provider's answer is larger than ${maxBodyBytes} bytes.`);
  const chunks: Buffer[] = [];
  let head: Pick<DoorResponse, 'status' | 'headers'> = { status: 0, headers: {} };
  let interim = 0;
  let received = 0;

  return {
    start(status, headers) {
      if (status < 200) {
        interim += 1;
        if (interim > maxInterim) throw bad('The provider sent one interim answer after the other.');
        return;
      }
      const entries = Object.entries(headers).map(([name, value]): [string, string] => [
        name,
        typeof value === 'string' ? value : (value ?? []).join(', '),
      ]);
      head = { status, headers: Object.fromEntries(entries) };
      const encoding = (head.headers['content-encoding'] ?? '').trim().toLowerCase();
      if (encoding !== '' && encoding !== 'identity') throw bad("The provider's answer is in an encoding that was not asked for.");
      if (!bodiless && Number(head.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge();
    },
    data(chunk) {
      received += chunk.length;
      if (received > maxBodyBytes) throw tooLarge();
      chunks.push(chunk);
    },
    end() {
      try {
        // Decoded as a whole: a character may lie across two chunks. A byte order mark is left out.
        return { ...head, body: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)) };
      } catch {
        throw bad("The provider's answer is not valid UTF-8.");
      }
    },
  };
}
