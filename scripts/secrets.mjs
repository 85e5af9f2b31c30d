/** Prints fresh secrets as lines for .env: node scripts/secrets.mjs >> .env. Needs nothing but Node. */
import { randomBytes } from 'node:crypto';

const key = { kty: 'oct', kid: `kek_${randomBytes(8).toString('hex')}`, use: 'enc', alg: 'A256GCMKW', k: randomBytes(32).toString('base64url') };
console.log(`GRANTRY_KEYS='${JSON.stringify({ keys: [key] })}'`);
console.log(`GRANTRY_ROOT_KEY=root_${randomBytes(32).toString('base64url')}`);
console.log(`POSTGRES_PASSWORD=${randomBytes(24).toString('base64url')}`);
console.log(`POSTGRES_SUPERUSER_PASSWORD=${randomBytes(24).toString('base64url')}`);
