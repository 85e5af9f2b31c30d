import { createPrivateKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rsaPrivateKey, type SigningKey, signatureOf } from '../../../src/protocol/oauth1/signature.ts';
import { baseStringOf, type Signing, signRequest } from '../../../src/protocol/oauth1/signer.ts';

type Vector = {
  name: string;
  method: string;
  url: string;
  form?: [string, string][];
  protocol: Record<`oauth_${string}`, string>;
  base?: string;
  key: [string, string];
  signature: string;
};

const rfcExample = {
  method: 'POST',
  url: 'http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b',
  form: [
    ['c2', ''],
    ['a3', '2 q'],
  ] as [string, string][],
};
const rfcProtocol = {
  oauth_consumer_key: '9djdj82h48djs9d2',
  oauth_token: 'kkk9d7dh3k39sjv7',
  oauth_timestamp: '137131201',
  oauth_nonce: '7d8f3e4a',
};
const rfcBase =
  'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2' +
  '%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7';
const photos = { oauth_consumer_key: 'dpf43f3p2l4k3l03' };

const vectors: Vector[] = [
  {
    name: 'RFC 5849 section 3.4.1.1 (with erratum 2550)',
    ...rfcExample,
    protocol: { ...rfcProtocol, oauth_signature_method: 'HMAC-SHA1' },
    base: rfcBase,
    key: ['j49sk3j29djd', 'dh893hdasih9'],
    signature: 'r6/TJjbCOr97/+UU0NsvSne7s5g=',
  },
  {
    name: 'the same with HMAC-SHA256',
    ...rfcExample,
    protocol: { ...rfcProtocol, oauth_signature_method: 'HMAC-SHA256' },
    base: rfcBase.replace('HMAC-SHA1', 'HMAC-SHA256'),
    key: ['j49sk3j29djd', 'dh893hdasih9'],
    signature: 'ypAxjNip++Dm0fTM+gCl8wAo6ufSnseu1WHxL7py3BU=',
  },
  {
    name: 'RFC 5849 section 1.2, temporary credentials',
    method: 'POST',
    url: 'https://photos.example.net/initiate',
    protocol: {
      ...photos,
      oauth_signature_method: 'HMAC-SHA1',
      oauth_timestamp: '137131200',
      oauth_nonce: 'wIjqoS',
      oauth_callback: 'http://printer.example.com/ready',
    },
    key: ['kd94hf93k423kf44', ''],
    signature: '74KNZJeDHnMBp0EMJ9ZHt/XKycU=',
  },
  {
    name: 'RFC 5849 section 1.2, token credentials',
    method: 'POST',
    url: 'https://photos.example.net/token',
    protocol: {
      ...photos,
      oauth_token: 'hh5s93j4hdidpola',
      oauth_signature_method: 'HMAC-SHA1',
      oauth_timestamp: '137131201',
      oauth_nonce: 'walatlh',
      oauth_verifier: 'hfdp7dh39dks9884',
    },
    key: ['kd94hf93k423kf44', 'hdhd0244k9j7ao03'],
    signature: 'gKgrFCywp7rO0OXSjdot/IHF7IU=',
  },
  {
    name: 'RFC 5849 section 1.2, the photo',
    method: 'GET',
    url: 'http://photos.example.net/photos?file=vacation.jpg&size=original',
    protocol: {
      ...photos,
      oauth_token: 'nnch734d00sl2jdk',
      oauth_signature_method: 'HMAC-SHA1',
      oauth_timestamp: '137131202',
      oauth_nonce: 'chapoH',
    },
    key: ['kd94hf93k423kf44', 'pfkkdhi9sl3r4s00'],
    signature: 'MdpQcU8iPSUjWoN/UDMsK2sui9I=',
  },
  {
    name: 'OAuth Core 1.0 appendix A.5',
    method: 'GET',
    url: 'http://photos.example.net/photos?file=vacation.jpg&size=original',
    protocol: {
      ...photos,
      oauth_token: 'nnch734d00sl2jdk',
      oauth_signature_method: 'HMAC-SHA1',
      oauth_timestamp: '1191242096',
      oauth_nonce: 'kllo9940pd9333jh',
      oauth_version: '1.0',
    },
    key: ['kd94hf93k423kf44', 'pfkkdhi9sl3r4s00'],
    signature: 'tR3+Ty81lMeYAr/Fid0kMTYa/WM=',
  },
  {
    name: 'the example of the Twitter documentation',
    method: 'post',
    url: 'https://api.twitter.com/1.1/statuses/update.json?include_entities=true',
    form: [['status', 'Hello Ladies + Gentlemen, a signed OAuth request!']],
    protocol: {
      oauth_consumer_key: 'xvz1evFS4wEEPTGEFPHBog',
      oauth_nonce: 'kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg',
      oauth_signature_method: 'HMAC-SHA1',
      oauth_timestamp: '1318622958',
      oauth_token: '370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb',
      oauth_version: '1.0',
    },
    key: ['kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw', 'LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE'],
    signature: 'hCtSmYh+iHYCEqBWrE7C7hYmtUk=',
  },
];

function signingOf({ protocol, key }: Vector): Signing {
  const method = protocol['oauth_signature_method'] === 'HMAC-SHA256' ? 'HMAC-SHA256' : 'HMAC-SHA1';
  return {
    consumerKey: protocol['oauth_consumer_key'] ?? '',
    key: { method, secret: key[0] },
    nonce: protocol['oauth_nonce'] ?? '',
    timestampS: Number(protocol['oauth_timestamp']),
  };
}

describe('published examples', () => {
  it.each(vectors)('$name', (vector) => {
    const signing = signingOf(vector);
    const base = baseStringOf(vector, signing, vector.protocol);
    if (vector.base !== undefined) expect(base).toBe(vector.base);
    expect(signatureOf(base, vector.key.map(encodeURIComponent).join('&'), signing.key)).toBe(vector.signature);
  });

  it.each(vectors.filter(({ protocol }) => protocol['oauth_version'] !== undefined))('$name, as the header that is sent', (vector) => {
    const token = { key: vector.protocol['oauth_token'] ?? '', secret: vector.key[1] };
    const { authorization } = signRequest(vector, { ...signingOf(vector), token });
    expect(authorization).toContain(`oauth_signature="${encodeURIComponent(vector.signature)}"`);
  });
});

// The key pair of the OAuth wiki's test cases (section 9.3); a published example, nobody's secret.
const wikiKey = `-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBALRiMLAh9iimur8V
A7qVvdqxevEuUkW4K+2KdMXmnQbG9Aa7k7eBjK1S+0LYmVjPKlJGNXHDGuy5Fw/d
7rjVJ0BLB+ubPK8iA/Tw3hLQgXMRRGRXXCn8ikfuQfjUS1uZSatdLB81mydBETlJ
hI6GH4twrbDJCR2Bwy/XWXgqgGRzAgMBAAECgYBYWVtleUzavkbrPjy0T5FMou8H
X9u2AC2ry8vD/l7cqedtwMPp9k7TubgNFo+NGvKsl2ynyprOZR1xjQ7WgrgVB+mm
uScOM/5HVceFuGRDhYTCObE+y1kxRloNYXnx3ei1zbeYLPCHdhxRYW7T0qcynNmw
rn05/KO2RLjgQNalsQJBANeA3Q4Nugqy4QBUCEC09SqylT2K9FrrItqL2QKc9v0Z
zO2uwllCbg0dwpVuYPYXYvikNHHg+aCWF+VXsb9rpPsCQQDWR9TT4ORdzoj+Nccn
qkMsDmzt0EfNaAOwHOmVJ2RVBspPcxt5iN4HI7HNeG6U5YsFBb+/GZbgfBT3kpNG
WPTpAkBI+gFhjfJvRw38n3g/+UeAkwMI2TJQS4n8+hid0uus3/zOjDySH3XHCUno
cn1xOJAyZODBo47E+67R4jV1/gzbAkEAklJaspRPXP877NssM5nAZMU0/O/NGCZ+
3jPgDUno6WbJn5cqm8MqWhW1xGkImgRk+fkDBquiq4gPiT898jusgQJAd5Zrr6Q8
AO/0isr/3aa6O6NLQxISLKcPDk2NOccAfS/xOtfOz4sJYM3+Bs4Io9+dZGSDCA54
Lw03eHTNQghS0A==
-----END PRIVATE KEY-----`;

describe('RSA-SHA1', () => {
  const request = { method: 'GET', url: 'http://photos.example.net/photos?file=vacaction.jpg&size=original' };
  const rest = { consumerKey: 'dpf43f3p2l4k3l03', nonce: '13917289812797014437', timestampS: 1_196_666_512 };
  const signature =
    'jvTp/wX1TYtByB1m+Pbyo0lnCOLIsyGCH7wke8AUs3BpnwZJtAuEJkvQL2/9n4s5wUmUl4aCI4BwpraNx4RtEXMe5qg5T1LVTGliMRpKasKsW//e+RinhejgCuzoH26dyF8iY2ZZ/5D1ilgeijhV/vBka5twt399mXwaYdCwFYE=';

  it.each([
    ['PEM', wikiKey],
    ['JWK', { ...createPrivateKey(wikiKey).export({ format: 'jwk' }) } as Record<string, unknown>],
  ])('signs the wiki example with a key given as %s', (_, source) => {
    const key: SigningKey = { method: 'RSA-SHA1', privateKey: rsaPrivateKey(source) };
    expect(signRequest(request, { ...rest, key }).authorization).toContain(`oauth_signature="${encodeURIComponent(signature)}"`);
  });

  it.each([
    ['no key', ''],
    ['garbage', 'secret'],
    [
      'an elliptic curve key',
      {
        kty: 'EC',
        crv: 'P-256',
        x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
        y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
        d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
      },
    ],
    ['an empty JWK', {}],
  ])('refuses %s and does not repeat it', (_, source) => {
    expect(() => rsaPrivateKey(source)).toThrow(
      expect.objectContaining({ code: 'invalid_client', message: 'RSA-SHA1 needs an RSA private key, as JWK or PEM.' }),
    );
  });
});

it('PLAINTEXT is the key itself, each half encoded, the ampersand always there', () => {
  const signing: Signing = { consumerKey: 'k', key: { method: 'PLAINTEXT', secret: 'a&b %+' }, nonce: 'n', timestampS: 1 };
  expect(signRequest({ method: 'GET', url: 'https://a.example/' }, signing).authorization).toContain('oauth_signature="a%2526b%2520%2525%252B%26"');
});
