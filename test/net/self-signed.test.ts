import { describe, expect, test } from 'bun:test';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { loadTlsMaterial } from '../../core/net/certificate.ts';
import { ensureSelfSigned, selfSignedCertificate } from '../../core/net/self-signed.ts';
import { Authority, openssl, temporaryFolder } from './test-certificates.ts';

const DAY_MS = 24 * 3_600_000;

describe('the self-signed certificate', () => {
  test('is made at first, readable by its owner alone, and kept from then on', async () => {
    const folder = join(temporaryFolder(), 'data');
    const first = await ensureSelfSigned(folder);
    expect(first).toEqual({
      cert: join(folder, 'tls.crt'),
      key: join(folder, 'tls.key'),
      created: true,
    });
    expect(readdirSync(folder).sort()).toEqual(['tls.crt', 'tls.key']);
    for (const file of [first.cert, first.key]) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const content = readFileSync(first.cert, 'utf8');
    expect(await ensureSelfSigned(folder)).toEqual({ ...first, created: false });
    expect(readFileSync(first.cert, 'utf8')).toBe(content);
  });

  test('is what clients can be given to trust, by the strict rules of RFC 5280', async () => {
    const { cert, key } = await ensureSelfSigned(temporaryFolder());
    for (const name of [
      ['-verify_hostname', 'localhost'],
      ['-verify_hostname', hostname()],
      ['-verify_ip', '127.0.0.1'],
      ['-verify_ip', '::1'],
    ])
      openssl('verify', '-x509_strict', '-CAfile', cert, '-purpose', 'sslserver', ...name, cert);
    const { certificates } = await loadTlsMaterial({
      certificates: [{ cert, key }],
      clientAuthorities: undefined,
    });
    expect(certificates[0].warnings).toEqual([]);
    expect(certificates[0].names).toContain('localhost');
  });

  test('is of EC P-256 and lasts 825 days, the longest that every client accepts', async () => {
    const { cert, key } = await ensureSelfSigned(temporaryFolder());
    const certificate = new X509Certificate(readFileSync(cert));
    const from = Date.parse(certificate.validFrom);
    expect(Date.parse(certificate.validTo) - from).toBe(825 * DAY_MS);
    expect(from).toBeLessThan(Date.now());
    expect(createPrivateKey(readFileSync(key)).asymmetricKeyDetails).toEqual({
      namedCurve: 'prime256v1',
    });
  });

  test('of a host whose name no certificate can hold leaves the name out', () => {
    const folder = temporaryFolder();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (const host of ['büro', 'a,DNS:evil.example', 'localhost', '', 'x'.repeat(300)]) {
      const pem = selfSignedCertificate(privateKey, host, Date.now());
      writeFileSync(join(folder, 'odd.crt'), pem);
      expect(new X509Certificate(pem).subjectAltName).toBe(
        'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
      );
      openssl(
        'verify',
        '-x509_strict',
        '-CAfile',
        join(folder, 'odd.crt'),
        join(folder, 'odd.crt'),
      );
    }
  });

  test('is made anew over the same key where it runs out within a month', async () => {
    const folder = temporaryFolder();
    const { cert, key } = await ensureSelfSigned(folder);
    const keyBefore = readFileSync(key, 'utf8');
    const longAgo = Date.now() - 800 * DAY_MS;
    writeFileSync(cert, selfSignedCertificate(createPrivateKey(keyBefore), 'host', longAgo));
    expect((await ensureSelfSigned(folder)).created).toBe(true);
    expect(readFileSync(key, 'utf8')).toBe(keyBefore);
    const left = Date.parse(new X509Certificate(readFileSync(cert)).validTo) - Date.now();
    expect(left).toBeGreaterThan(800 * DAY_MS);
    expect(statSync(cert).mode & 0o777).toBe(0o600);
  });

  test('that somebody else put in its place is left alone', async () => {
    const folder = temporaryFolder();
    const { cert, key } = await ensureSelfSigned(folder);
    const theirs = new Authority('elsewhere').issue('theirs', ['DNS:localhost'], 1);
    writeFileSync(cert, readFileSync(theirs.cert));
    writeFileSync(key, readFileSync(theirs.key));
    expect((await ensureSelfSigned(folder)).created).toBe(false);
    expect(readFileSync(cert, 'utf8')).toBe(readFileSync(theirs.cert, 'utf8'));
  });

  test('whose half is missing is made whole where that is possible, and else refused', async () => {
    const folder = temporaryFolder();
    const { cert, key } = await ensureSelfSigned(folder);
    unlinkSync(cert);
    expect((await ensureSelfSigned(folder)).created).toBe(true);
    unlinkSync(key);
    await expect(ensureSelfSigned(folder)).rejects.toThrow(
      `TLS_KEY: ${key} is missing; remove ${cert}`,
    );
  });

  test('whose file is nonsense is refused by name', async () => {
    const folder = temporaryFolder();
    const { cert, key } = await ensureSelfSigned(folder);
    writeFileSync(cert, 'nonsense');
    await expect(ensureSelfSigned(folder)).rejects.toThrow(
      `TLS_CERT: ${cert} is not a certificate`,
    );
    unlinkSync(cert);
    chmodSync(key, 0o600);
    writeFileSync(key, 'nonsense');
    await expect(ensureSelfSigned(folder)).rejects.toThrow(`TLS_KEY: ${key} is not a private key`);
  });
});
