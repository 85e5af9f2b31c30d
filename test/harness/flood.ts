import { Agent, request } from 'undici';

/** How many requests a flood has: few enough for every run; `npm run attacks:floods` makes it fifty thousand. */
export const floodSize = Number(process.env.GRANTRY_FLOOD ?? 3_000);

type Headers = Record<string, string>;

/** Requests over twenty connections, one after another on each; `nth` says what is asked for. How many were answered with each status. */
export async function flood(
  url: string,
  count: number,
  nth: (n: number) => { path: string; headers?: Headers },
  connections = 20,
): Promise<Record<number, number>> {
  const dispatcher = new Agent({ connections });
  const answered: Record<number, number> = {};
  let next = 0;
  const one = async () => {
    while (next < count) {
      const { path, headers = {} } = nth(next++);
      const { statusCode, body } = await request(url + path, { dispatcher, headers });
      await body.dump();
      answered[statusCode] = (answered[statusCode] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, one));
  await dispatcher.close();
  return answered;
}
