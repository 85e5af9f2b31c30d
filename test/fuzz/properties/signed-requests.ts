import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { isGrantryError } from '../../../src/protocol/errors.ts';
import { encodeForm } from '../../../src/protocol/form.ts';
import { baseStringOf, signRequest } from '../../../src/protocol/oauth1/signer.ts';
import { baseString, isSigned, parseAuthorization } from '../../independent/rfc5849.ts';
import { must, type Property } from '../property.ts';
import { signedRequestOf } from '../signed-requests.ts';

/** What is signed is what a server finds that was written from the RFC and shares nothing with us: the same base string, and the same signature. */
export const signedRequests: Property = {
  name: 'OAuth 1.0a requests',
  runs: 100_000,
  reaches: {
    'HMAC-SHA1': 0.15,
    'HMAC-SHA256': 0.15,
    PLAINTEXT: 0.15,
    'RSA-SHA1': 0.01,
    'with a form': 0.2,
    refused: 0.04,
    'with one more parameter': 0.1,
  },
  async prepare() {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
    return {
      shown: (draft) => signedRequestOf(draft, privateKey),
      check(draft, count) {
        const { request, signing } = signedRequestOf(draft, privateKey);
        let sent: ReturnType<typeof signRequest>;
        try {
          sent = signRequest(request, signing);
        } catch (error) {
          if (!isGrantryError(error, 'invalid_request')) throw error;
          return count('refused');
        }
        const { method, form } = request;
        const body = form && { contentType: 'application/x-www-form-urlencoded', body: encodeForm(form) };
        const arrived = { method, uri: sent.url, authorization: sent.authorization, ...body };
        must(/^OAuth [ -~]+$/.test(sent.authorization) && /^[!-~]+$/.test(sent.url), 'not to be put into a request');
        must(!sent.url.includes('#'), 'a fragment is sent');
        const { realm, ...protocol } = Object.fromEntries(parseAuthorization(sent.authorization));
        must(realm === signing.realm, 'another realm');
        const base = baseString(arrived);
        must(base === baseStringOf(request, signing, protocol), 'another base string');
        const secrets = { client: 'secret' in signing.key ? signing.key.secret : '', token: signing.token?.secret ?? '', publicKey };
        must(
          isSigned(arrived, secrets, () => base),
          'another signature',
        );
        count(signing.key.method);
        if (form !== undefined) count('with a form');
        // What was not signed so is not taken.
        const isNear = draft[0] % 4 === 0;
        if (isNear && 'secret' in signing.key)
          must(!isSigned(arrived, { ...secrets, client: `${secrets.client}x` }, () => base), 'signed with another secret as well');
        if (isNear && signing.key.method !== 'PLAINTEXT') {
          const uri = `${sent.url}${sent.url.includes('?') ? '&' : '?'}more=1`;
          must(!isSigned({ ...arrived, uri }, secrets), 'a parameter more, and the signature is right as well');
          count('with one more parameter');
        }
      },
    };
  },
};
