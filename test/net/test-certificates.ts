/**
 * Certificates for tests, made by OpenSSL: so that another hand than ours wrote them.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CertificateFiles, TlsMaterial } from '../../core/net/certificate.ts';

/** A folder for one test file. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'bellhop-test-'));
}

export function openssl(...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['openssl', ...args]);
  if (exitCode !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr.toString()}`);
  return stdout.toString();
}

/** A certificate authority in a folder of its own. */
export class Authority {
  readonly folder = temporaryFolder();
  readonly certFile = join(this.folder, 'ca.crt');
  readonly #keyFile = join(this.folder, 'ca.key');

  constructor(name: string) {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const files = ['-keyout', this.#keyFile, '-out', this.certFile];
    openssl('req', '-x509', ...key, ...files, '-days', '30', '-subj', `/CN=${name}`);
  }

  get pem(): string {
    return readFileSync(this.certFile, 'utf8');
  }

  /** A certificate for `name`, with `names` (`DNS:…`, `IP:…`) as alternative names. */
  issue(name: string, names: readonly string[] = ['DNS:localhost'], days = 30): CertificateFiles {
    const path = (end: string) => join(this.folder, `${name}.${end}`);
    const files = { cert: path('crt'), key: path('key') };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl('req', ...key, '-keyout', files.key, '-out', path('csr'), '-subj', `/CN=${name}`);
    writeFileSync(path('ext'), `subjectAltName=${names.join(',')}\n`);
    const by = ['-CA', this.certFile, '-CAkey', this.#keyFile, '-CAcreateserial'];
    const to = ['-out', files.cert, '-extfile', path('ext'), '-days', String(days)];
    openssl('x509', '-req', '-in', path('csr'), ...by, ...to);
    return files;
  }
}

/** Of `files`, without the checks. */
export function materialOf(
  files: readonly [CertificateFiles, ...CertificateFiles[]],
  clientAuthorities?: string,
  names: readonly (readonly string[])[] = [],
): TlsMaterial {
  const [first, ...more] = files.map(({ cert, key }, index) => ({
    names: names[index] ?? [],
    cert: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
    expiresAtMs: 0,
    warnings: [],
  }));
  if (first === undefined) throw new Error('no certificate');
  return { certificates: [first, ...more], clientAuthorities };
}
