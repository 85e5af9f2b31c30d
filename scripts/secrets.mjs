/** Prints fresh secrets as lines for .env: node scripts/secrets.mjs >> .env; with names, those alone. Needs nothing but Node. */
import { randomBytes } from 'node:crypto';

const text = (bytes) => randomBytes(bytes).toString('base64url');
const key = { kty: 'oct', kid: `kek_${randomBytes(8).toString('hex')}`, use: 'enc', alg: 'A256GCMKW', k: text(32) };
const lines = {
  GRANTRY_KEYS: `'${JSON.stringify({ keys: [key] })}'`,
  GRANTRY_ROOT_KEY: `root_${text(32)}`,
  POSTGRES_PASSWORD: text(24),
  POSTGRES_SUPERUSER_PASSWORD: text(24),
  REDIS_PASSWORD: text(24),
};
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(lines, name));
if (unknown.length > 0) {
  console.error(`No secret is called ${unknown.join(', ')}. There are ${Object.keys(lines).join(', ')}.`);
  process.exit(1);
}
for (const [name, value] of Object.entries(lines)) if (wanted.length === 0 || wanted.includes(name)) console.log(`${name}=${value}`);
