import { describe, expect, test } from 'bun:test';
import { createPrivateKey } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CertificateError,
  loadTlsMaterial,
  pairCertificateFiles,
  type TlsFiles,
} from '../../core/net/certificate.ts';
import { selfSignedCertificate } from '../../core/net/self-signed.ts';
import { Authority, openssl } from './test-certificates.ts';

const authority = new Authority('test authority');
const server = authority.issue('server', [
  'DNS:Mqtt.example.com',
  'DNS:*.example.org',
  'IP:127.0.0.1',
]);
const other = authority.issue('other');
const inFolder = (name: string, content: string) => {
  const path = join(authority.folder, name);
  writeFileSync(path, content);
  return path;
};

async function refusal(files: TlsFiles): Promise<CertificateError> {
  try {
    await loadTlsMaterial(files);
  } catch (error) {
    if (error instanceof CertificateError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const only = (cert: string, key: string): TlsFiles => ({
  certificates: [{ cert, key }],
  clientAuthorities: undefined,
});

describe('certificates', () => {
  test('are read with their names, without a word where all is well', async () => {
    const { certificates, clientAuthorities } = await loadTlsMaterial({
      certificates: [server, other],
      clientAuthorities: authority.certFile,
    });
    expect(certificates.map(({ names }) => names)).toEqual([
      ['mqtt.example.com', '*.example.org'],
      ['localhost'],
    ]);
    expect(certificates.flatMap(({ warnings }) => warnings)).toEqual([]);
    expect(certificates[0].cert).toBe(readFileSync(server.cert, 'utf8'));
    expect(clientAuthorities).toBe(authority.pem);
    const days = (certificates[0].expiresAtMs - Date.now()) / (24 * 3_600_000);
    expect(Math.round(days)).toBe(30);
  });

  test('may have their chain behind them', async () => {
    const chain = inFolder('chain.pem', readFileSync(server.cert, 'utf8') + authority.pem);
    const { certificates } = await loadTlsMaterial(only(chain, server.key));
    expect(certificates[0].names).toEqual(['mqtt.example.com', '*.example.org']);
  });

  test('that run out soon, or have run out, are used with a warning', async () => {
    const soon = authority.issue('soon', ['DNS:localhost'], 3);
    const { certificates: first } = await loadTlsMaterial(only(soon.cert, soon.key));
    expect(first[0].warnings).toEqual([expect.stringContaining(`${soon.cert} expires on`)]);

    const longAgo = Date.now() - 1_000 * 24 * 3_600_000;
    const otherKey = createPrivateKey(readFileSync(other.key));
    const past = inFolder('past.crt', selfSignedCertificate(otherKey, 'host', longAgo));
    const { certificates: second } = await loadTlsMaterial(only(past, other.key));
    expect(second[0].warnings).toEqual([expect.stringContaining(`${past} expired on`)]);
  });

  const encrypted = join(authority.folder, 'encrypted.key');
  openssl('ec', '-in', server.key, '-aes256', '-passout', 'pass:secret', '-out', encrypted);
  const folder = join(authority.folder, 'folder');
  mkdirSync(folder);

  test.each([
    [
      'a file that is not there',
      only('/nowhere/a.crt', server.key),
      'TLS_CERT',
      'cannot read /nowhere/a.crt: there is no such file',
    ],
    [
      'a key that is not there',
      only(server.cert, '/nowhere/a.key'),
      'TLS_KEY',
      'cannot read /nowhere/a.key: there is no such file',
    ],
    ['a folder', only(folder, server.key), 'TLS_CERT', `cannot read ${folder}: it is a directory`],
    [
      'an empty file',
      only(inFolder('empty', ''), server.key),
      'TLS_CERT',
      'is not a certificate in PEM form',
    ],
    [
      'nonsense',
      only(
        inFolder('nonsense', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
        server.key,
      ),
      'TLS_CERT',
      'is not a certificate in PEM form',
    ],
    [
      'a key for a certificate',
      only(server.key, server.key),
      'TLS_CERT',
      'is not a certificate in PEM form',
    ],
    [
      'a certificate for a key',
      only(server.cert, server.cert),
      'TLS_KEY',
      'is not a private key in PEM form',
    ],
    [
      'an encrypted key',
      only(server.cert, encrypted),
      'TLS_KEY',
      `${encrypted} is encrypted; write it without a passphrase`,
    ],
    [
      'the key of another',
      only(server.cert, other.key),
      'TLS_KEY',
      `${other.key} is not the key of ${server.cert}`,
    ],
    [
      'no authorities',
      { ...only(server.cert, server.key), clientAuthorities: '/nowhere/ca' },
      'TLS_CLIENT_CA',
      'cannot read /nowhere/ca',
    ],
    [
      'authorities that are a key',
      { ...only(server.cert, server.key), clientAuthorities: server.key },
      'TLS_CLIENT_CA',
      'is not a certificate in PEM form',
    ],
  ] as const)(
    'are refused in one line that names the setting: %s',
    async (_name, files, setting, text) => {
      const error = await refusal(files);
      expect(error.setting).toBe(setting);
      expect(error.message).toStartWith(`${setting}: `);
      expect(error.message).toContain(text);
      expect(error.message).not.toContain('\n');
    },
  );

  test.skipIf(process.getuid?.() === 0)(
    'that may not be read are refused by that word',
    async () => {
      const locked = inFolder('locked.key', 'x');
      chmodSync(locked, 0o000);
      expect((await refusal(only(server.cert, locked))).message).toContain(
        'no permission to read it',
      );
    },
  );

  test('are paired in order, and each wants its other half', () => {
    expect(pairCertificateFiles([], [])).toBeUndefined();
    expect(pairCertificateFiles(['a', 'b'], ['c', 'd'])).toEqual([
      { cert: 'a', key: 'c' },
      { cert: 'b', key: 'd' },
    ]);
    expect(() => pairCertificateFiles(['a', 'b'], ['c'])).toThrow(
      'TLS_KEY: there is no key for b of TLS_CERT',
    );
    expect(() => pairCertificateFiles([], ['c'])).toThrow(
      'TLS_CERT: there is no certificate for c of TLS_KEY',
    );
  });
});
