/** Loaded into the broker's process by the test: on a signal something in it goes wrong, with a secret in what is thrown. */

import { readFileSync } from 'node:fs';

const thrown = () => {
  const secret = readFileSync(process.env.LEAK_TEST_MESSAGE ?? '', 'utf8');
  const error = new Error(`Failed query\nparams: ${secret}`, { cause: new Error(`the cause holds ${secret}`) });
  return Object.assign(error, { secret, parameters: [secret], request: { headers: { authorization: secret } } });
};
process.on('SIGWINCH', () => void Promise.reject(thrown()));
process.on('SIGURG', () =>
  setTimeout(() => {
    throw thrown();
  }, 1),
);
