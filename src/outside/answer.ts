import type { DoorResponse } from '../protocol/door.ts';
import { GrantryError } from '../protocol/errors.ts';

/** More interim answers (1xx) than anybody has a reason to send. */
const maxInterim = 8;

/** Of a body that nobody reads, what is taken in so that the connection can be used again. */
const mostDiscardedBytes = 1_024;

export type AnswerHead = Pick<DoorResponse, 'status' | 'headers'>;

/** An answer while it arrives. Each step throws `bad_provider_answer` when what came cannot be used. */
export type Answer = {
  /** Status and headers; `headers` has lower-case names and the values in order. Undefined for an interim answer. */
  start(status: number, headers: ReceivedHeaders): AnswerHead | undefined;
  data(chunk: Buffer): void;
  end(): DoorResponse;
};

type ReceivedHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const bad = (detail: string) => new GrantryError('bad_provider_answer', { detail });
const tooLarge = (bytes: number) => bad(`The provider's answer is larger than ${bytes} bytes.`);

/** Passes over interim answers, of which there may be some. */
function createHeadReader(): Answer['start'] {
  let interim = 0;
  return (status, headers) => {
    if (status < 200) {
      interim += 1;
      if (interim > maxInterim) throw bad('The provider sent one interim answer after the other.');
      return undefined;
    }
    const entries = Object.entries(headers).map(([name, value]): [string, string] => [
      name,
      typeof value === 'string' ? value : (value ?? []).join(', '),
    ]);
    return { status, headers: Object.fromEntries(entries) };
  };
}

/** Gathers an answer of at most `maxBodyBytes`; `bodiless` for the answer to a HEAD, whose content-length promises nothing. */
export function createAnswer({ maxBodyBytes, bodiless }: { maxBodyBytes: number; bodiless: boolean }): Answer {
  const readHead = createHeadReader();
  const chunks: Buffer[] = [];
  let head: AnswerHead = { status: 0, headers: {} };
  let received = 0;

  return {
    start(status, headers) {
      const read = readHead(status, headers);
      if (read === undefined) return undefined;
      head = read;
      const encoding = (head.headers['content-encoding'] ?? '').trim().toLowerCase();
      if (encoding !== '' && encoding !== 'identity') throw bad("The provider's answer is in an encoding that was not asked for.");
      if (!bodiless && Number(head.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge(maxBodyBytes);
      return head;
    },
    data(chunk) {
      received += chunk.length;
      if (received > maxBodyBytes) throw tooLarge(maxBodyBytes);
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

/** An answer whose body nobody reads: it is kept nowhere, and a long one is refused once its head is known. */
export function createUnreadAnswer(): Answer {
  const readHead = createHeadReader();
  let head: AnswerHead = { status: 0, headers: {} };
  let received = 0;

  return {
    start(status, headers) {
      const read = readHead(status, headers);
      head = read ?? head;
      return read;
    },
    data(chunk) {
      received += chunk.length;
      if (received > mostDiscardedBytes) throw tooLarge(mostDiscardedBytes);
    },
    end: () => ({ ...head, body: '' }),
  };
}
