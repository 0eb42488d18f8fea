/**
 * Server certificates: read from their files and checked before anything relies on them, at start
 * and again at each reload.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** Where one certificate lies. */
export interface CertificateFiles {
  /** PEM: the certificate, with the chain behind it. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
}

export interface Certificate {
  /** The DNS names that it is for, wildcards included: what clients ask for by SNI. */
  readonly names: readonly string[];
  readonly cert: string;
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number;
  /** What is wrong with it and no reason to refuse it, each a sentence for the log. */
  readonly warnings: readonly string[];
}

/** All that a listener needs for TLS. */
export interface TlsMaterial {
  /** The first answers where no other has the name that the client asked for. Never empty. */
  readonly certificates: readonly [Certificate, ...Certificate[]];
  /** PEM of the authorities that client certificates are checked against. */
  readonly clientAuthorities: string | undefined;
}

export interface TlsFiles {
  readonly certificates: readonly [CertificateFiles, ...CertificateFiles[]];
  readonly clientAuthorities: string | undefined;
}

/** Why a certificate cannot be used, in one line that begins with the setting to look at. */
export class CertificateError extends Error {
  readonly setting: 'TLS_CERT' | 'TLS_KEY' | 'TLS_CLIENT_CA';

  constructor(setting: CertificateError['setting'], problem: string, options?: ErrorOptions) {
    super(`${setting}: ${problem}`, options);
    this.name = 'CertificateError';
    this.setting = setting;
  }
}

/** Certificates are renewed long before; later than this nobody has. */
const EXPIRES_SOON_MS = 14 * 24 * 3_600_000;

/**
 * Pairs the paths of `TLS_CERT` and `TLS_KEY`, the first certificate with the first key. Undefined
 * where there are none; throws a `CertificateError` where one is without its other half.
 */
export function pairCertificateFiles(
  certs: readonly string[],
  keys: readonly string[],
): TlsFiles['certificates'] | undefined {
  if (certs.length > keys.length)
    throw new CertificateError('TLS_KEY', `there is no key for ${certs[keys.length]} of TLS_CERT`);
  if (keys.length > certs.length)
    throw new CertificateError(
      'TLS_CERT',
      `there is no certificate for ${keys[certs.length]} of TLS_KEY`,
    );
  const [first, ...more] = certs.map((cert, index) => ({ cert, key: keys[index] ?? '' }));
  return first === undefined ? undefined : [first, ...more];
}

/** Reads and checks all of `files`; throws a `CertificateError` on the first that cannot be used. */
export async function loadTlsMaterial(files: TlsFiles): Promise<TlsMaterial> {
  const [first, ...more] = files.certificates;
  const certificates: [Certificate, ...Certificate[]] = [await loadCertificate(first)];
  for (const one of more) certificates.push(await loadCertificate(one));
  const { clientAuthorities } = files;
  return {
    certificates,
    clientAuthorities:
      clientAuthorities === undefined ? undefined : await loadAuthorities(clientAuthorities),
  };
}

async function loadCertificate(files: CertificateFiles): Promise<Certificate> {
  const cert = await read('TLS_CERT', files.cert);
  const key = await read('TLS_KEY', files.key);
  const leaf = parseCertificate('TLS_CERT', files.cert, cert);
  if (!leaf.checkPrivateKey(parseKey(files.key, key)))
    throw new CertificateError('TLS_KEY', `${files.key} is not the key of ${files.cert}`);
  return {
    names: dnsNames(leaf),
    cert,
    key,
    expiresAtMs: Date.parse(leaf.validTo),
    warnings: warningsOf(leaf, files.cert),
  };
}

async function loadAuthorities(file: string): Promise<string> {
  const pem = await read('TLS_CLIENT_CA', file);
  parseCertificate('TLS_CLIENT_CA', file, pem);
  return pem;
}

async function read(setting: CertificateError['setting'], file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'no permission to read it',
      EISDIR: 'it is a directory',
    };
    const code = (error as { code?: string }).code ?? '';
    throw new CertificateError(setting, `cannot read ${file}: ${reasons[code] ?? code}`, {
      cause: error,
    });
  }
}

/** The first certificate in `pem`; `file` is for the error. */
export function parseCertificate(
  setting: CertificateError['setting'],
  file: string,
  pem: string,
): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new CertificateError(setting, `${file} is not a certificate in PEM form`, {
      cause: error,
    });
  }
}

export function parseKey(file: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted = (error as { code?: string }).code === 'ERR_MISSING_PASSPHRASE';
    throw new CertificateError(
      'TLS_KEY',
      encrypted
        ? `${file} is encrypted; write it without a passphrase`
        : `${file} is not a private key in PEM form`,
      { cause: error },
    );
  }
}

/** From Subject Alternative Name, the only place where clients look (RFC 9525 section 6.3). */
function dnsNames(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice('DNS:'.length).toLowerCase())
    .filter((name) => /^[a-z0-9*._-]+$/.test(name));
}

function warningsOf(certificate: X509Certificate, file: string): string[] {
  const now = Date.now();
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  if (to <= now) return [`the certificate in ${file} expired on ${certificate.validTo}`];
  if (from > now)
    return [`the certificate in ${file} is not valid before ${certificate.validFrom}`];
  if (to - now < EXPIRES_SOON_MS)
    return [`the certificate in ${file} expires on ${certificate.validTo}`];
  return [];
}
