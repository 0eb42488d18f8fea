/**
 * The certificate of the first start: EC P-256, for this machine's own names, signed by itself and
 * marked as an authority, so that a client can be given the very file to trust:
 * `mosquitto_pub --cafile data/tls.crt`.
 *
 * Written in DER by hand (X.509, RFC 5280): one fixed shape with nothing in it from outside but the
 * host's name, which no library does in fewer than a dozen packages.
 */
import {
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  CertificateError,
  type CertificateFiles,
  parseCertificate,
  parseKey,
} from './certificate.ts';

const DAY_MS = 24 * 3_600_000;
/** With the day before, the 825 that are the longest that Apple's systems accept of a server. */
const VALID_DAYS = 824;
const RENEW_BEFORE_DAYS = 30;
const ISSUER = 'Bellhop self-signed';

/**
 * The files of this data folder's own certificate: `tls.crt` and `tls.key`, made where they are
 * missing, both readable by their owner alone. A certificate of ours that runs out within a month is
 * made anew over the same key; one that somebody else put there is left alone.
 */
export async function ensureSelfSigned(
  dataDir: string,
): Promise<CertificateFiles & { readonly created: boolean }> {
  const files = { cert: join(dataDir, 'tls.crt'), key: join(dataDir, 'tls.key') };
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const keyPem = await readIfThere(files.key);
  const certPem = await readIfThere(files.cert);
  if (keyPem === undefined && certPem !== undefined)
    throw new CertificateError(
      'TLS_KEY',
      `${files.key} is missing; remove ${files.cert} as well to have both made anew`,
    );
  if (keyPem !== undefined && certPem !== undefined && !runsOut(files.cert, certPem))
    return { ...files, created: false };
  const key = keyPem === undefined ? newKey() : parseKey(files.key, keyPem);
  if (keyPem === undefined)
    await replaceFile(files.key, key.export({ type: 'pkcs8', format: 'pem' }).toString());
  await replaceFile(files.cert, selfSignedCertificate(key, hostname(), Date.now()));
  return { ...files, created: true };
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function runsOut(file: string, pem: string): boolean {
  const certificate = parseCertificate('TLS_CERT', file, pem);
  const ours = certificate.issuer.includes(ISSUER);
  return ours && Date.parse(certificate.validTo) - Date.now() < RENEW_BEFORE_DAYS * DAY_MS;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** So that a crash leaves the old file or the new one. */
async function replaceFile(file: string, content: string): Promise<void> {
  const temporary = `${file}.${process.pid}.new`;
  await writeFile(temporary, content, { mode: 0o600 });
  await rename(temporary, file);
}

/** PEM of a certificate over the public half of `key`, for localhost and `host`. */
export function selfSignedCertificate(key: KeyObject, host: string, nowMs: number): string {
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const name = sequence(set(sequence(oid(2, 5, 4, 3), utf8(`${ISSUER} (${host})`.slice(0, 64)))));
  const keyIdentifier = hash('sha1', publicKey, 'buffer');
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and of full length
  const algorithm = sequence(oid(1, 2, 840, 10045, 4, 3, 2)); // ecdsa-with-SHA256
  const certificate = sequence(
    context(0, integer(Uint8Array.of(2))), // v3
    integer(serial),
    algorithm,
    name,
    sequence(time(nowMs - DAY_MS), time(nowMs + VALID_DAYS * DAY_MS)),
    name,
    publicKey,
    context(
      3,
      sequence(
        extension([2, 5, 29, 19], true, sequence(boolean(true), integer(Uint8Array.of(0)))), // basicConstraints: CA, no further authority
        extension([2, 5, 29, 15], true, tagged(0x03, Uint8Array.of(2, 0x84))), // keyUsage: digitalSignature, keyCertSign
        extension([2, 5, 29, 37], false, sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1))), // extKeyUsage: serverAuth
        extension([2, 5, 29, 14], false, tagged(0x04, keyIdentifier)), // subjectKeyIdentifier
        extension([2, 5, 29, 35], false, sequence(tagged(0x80, keyIdentifier))), // authorityKeyIdentifier
        extension([2, 5, 29, 17], false, sequence(...alternativeNames(host))),
      ),
    ),
  );
  const signature = sign('sha256', certificate, key);
  const der = sequence(certificate, algorithm, tagged(0x03, Uint8Array.of(0), signature));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function alternativeNames(host: string): Buffer[] {
  const names = ['localhost'];
  if (/^[A-Za-z0-9.-]{1,253}$/.test(host) && host !== 'localhost') names.push(host);
  return [
    ...names.map((name) => tagged(0x82, Buffer.from(name, 'latin1'))),
    tagged(0x87, Uint8Array.of(127, 0, 0, 1)),
    tagged(0x87, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
  ];
}

function extension(id: ObjectIdentifier, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(...id), ...(critical ? [boolean(true)] : []), tagged(0x04, value));
}

// DER (X.690): a tag, a length, and what is in it.

function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const lengthBytes =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...lengthBytes), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => tagged(0x30, ...parts);
const set = (...parts: readonly Uint8Array[]) => tagged(0x31, ...parts);
const context = (number: number, part: Uint8Array) => tagged(0xa0 + number, part);
const boolean = (value: boolean) => tagged(0x01, Uint8Array.of(value ? 0xff : 0));
const utf8 = (text: string) => tagged(0x0c, Buffer.from(text));
/** Of bytes whose first bit is 0. */
const integer = (bytes: Uint8Array) => tagged(0x02, bytes);

/** UTCTime, which serves until 2049 (RFC 5280 section 4.1.2.5.1). */
function time(ms: number): Buffer {
  const text = new Date(ms)
    .toISOString()
    .replace(/[-:T]|\.\d+/g, '')
    .slice(2);
  return tagged(0x17, Buffer.from(text, 'latin1'));
}

type ObjectIdentifier = readonly [first: number, second: number, ...more: number[]];

function oid(...[first, second, ...more]: ObjectIdentifier): Buffer {
  const bytes = [first * 40 + second];
  for (const arc of more) {
    const groups = [arc & 0x7f];
    for (let rest = arc >> 7; rest > 0; rest >>= 7) groups.unshift((rest & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tagged(0x06, Uint8Array.from(bytes));
}
