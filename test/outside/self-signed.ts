import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate that is its own authority, made afresh: X.509 v3 (RFC 5280) in as few bytes of DER as it takes. */

const tlv = (tag: number, ...content: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(content);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...content: readonly Buffer[]) => tlv(0x30, ...content);
const text = (tag: number, value: string) => tlv(tag, Buffer.from(value, 'latin1'));
const oid = (hex: string) => tlv(0x06, Buffer.from(hex, 'hex'));
const bits = (content: Buffer) => tlv(0x03, Buffer.from([0]), content);

/** PEM of a key and of a certificate for the given host names and IPv4 addresses, valid from 2020 to 2049. */
export function selfSigned(...hosts: readonly string[]): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
  const name = sequence(tlv(0x31, sequence(oid('550403'), text(0x0c, 'Grantry test'))));
  const alternatives = hosts.map((host) => (isIP(host) === 0 ? text(0x82, host) : tlv(0x87, Buffer.from(host.split('.').map(Number)))));
  const extensions = tlv(
    0xa3,
    sequence(
      sequence(oid('551d13'), tlv(0x01, Buffer.from([0xff])), tlv(0x04, sequence(tlv(0x01, Buffer.from([0xff]))))),
      sequence(oid('551d11'), tlv(0x04, sequence(...alternatives))),
    ),
  );
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    sequence(text(0x17, '200101000000Z'), text(0x17, '491231235959Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions,
  );
  const der = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, privateKey)));
  const lines = der.toString('base64').replace(/(.{64})/g, '$1\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}
