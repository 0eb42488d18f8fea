import { afterEach, describe, expect, test } from 'bun:test';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  type CertificateFiles,
  loadTlsMaterial,
  type TlsMaterial,
} from '../../core/net/certificate.ts';
import { type CertificateEvent, CertificateKeeper } from '../../core/net/certificate-keeper.ts';
import { newNetCounters } from '../../core/net/counters.ts';
import { Authority, temporaryFolder } from './test-certificates.ts';

const authority = new Authority('test authority');
const [first, second, third] = ['first', 'second', 'third'].map((name) =>
  authority.issue(name),
) as [CertificateFiles, CertificateFiles, CertificateFiles];

const keepers: CertificateKeeper[] = [];
afterEach(() => {
  for (const keeper of keepers.splice(0)) keeper.stop();
});

/** A keeper of `files` that looks often, and what it says. */
async function keep(files: CertificateFiles, use: (material: TlsMaterial) => void = () => {}) {
  const counters = newNetCounters();
  const events: CertificateEvent[] = [];
  let heard = Promise.withResolvers<CertificateEvent>();
  const all = { certificates: [files], clientAuthorities: undefined } as const;
  const keeper = new CertificateKeeper({
    files: all,
    material: await loadTlsMaterial(all),
    use,
    counters,
    intervalMs: 5,
    report(event) {
      events.push(event);
      heard.resolve(event);
      heard = Promise.withResolvers();
    },
  });
  keepers.push(keeper);
  await keeper.start();
  return { keeper, counters, events, next: () => heard.promise };
}

function copyTo(folder: string, from: CertificateFiles): CertificateFiles {
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  copyFileSync(from.cert, files.cert);
  copyFileSync(from.key, files.key);
  return files;
}

const certOf = (keeper: CertificateKeeper) => keeper.material.certificates[0].cert;
const contentOf = (files: CertificateFiles) => readFileSync(files.cert, 'utf8');

describe('a certificate keeper', () => {
  test('takes up files that are written over', async () => {
    const folder = temporaryFolder();
    const used: TlsMaterial[] = [];
    const { keeper, next, counters } = await keep(copyTo(folder, first), (m) => used.push(m));
    copyTo(folder, second);
    expect((await next()).kind).toBe('certificate-reloaded');
    expect(certOf(keeper)).toBe(contentOf(second));
    expect(used).toEqual([keeper.material]);
    expect(counters.certificateReloads).toBe(1);
  });

  test('takes up links that are turned, as certbot turns them', async () => {
    const folder = temporaryFolder();
    const files = { cert: join(folder, 'fullchain.pem'), key: join(folder, 'privkey.pem') };
    const turn = (to: CertificateFiles) => {
      for (const [link, target] of [
        [files.cert, to.cert],
        [files.key, to.key],
      ] as const) {
        symlinkSync(target, `${link}.new`);
        renameSync(`${link}.new`, link);
      }
    };
    turn(first);
    const { keeper, next } = await keep(files);
    turn(second);
    await next();
    expect(certOf(keeper)).toBe(contentOf(second));
    turn(third);
    await next();
    expect(certOf(keeper)).toBe(contentOf(third));
  });

  test('takes up a folder that is turned behind links, as Kubernetes turns it', async () => {
    const folder = temporaryFolder();
    for (const [version, files] of [
      ['..1', first],
      ['..2', second],
    ] as const) {
      mkdirSync(join(folder, version));
      copyTo(join(folder, version), files);
    }
    symlinkSync('..1', join(folder, '..data'));
    const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
    symlinkSync('..data/tls.crt', files.cert);
    symlinkSync('..data/tls.key', files.key);
    const { keeper, next } = await keep(files);
    symlinkSync('..2', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await next();
    expect(certOf(keeper)).toBe(contentOf(second));
  });

  test('keeps what it has where the new cannot be used, says so once, and takes up what follows', async () => {
    const folder = temporaryFolder();
    const files = copyTo(folder, first);
    const { keeper, next, events, counters } = await keep(files);
    writeFileSync(files.cert, 'half a certif');
    const event = await next();
    expect(event.kind === 'certificate-refused' && event.error.message).toStartWith('TLS_CERT: ');
    expect(certOf(keeper)).toBe(contentOf(first));
    copyTo(folder, second);
    await next();
    expect(certOf(keeper)).toBe(contentOf(second));
    expect(events.map(({ kind }) => kind)).toEqual(['certificate-refused', 'certificate-reloaded']);
    expect(counters.certificateReloadFailures).toBe(1);
  });

  test('keeps what it has while files are gone', async () => {
    const folder = temporaryFolder();
    const files = copyTo(folder, first);
    const { keeper, next } = await keep(files);
    unlinkSync(files.key);
    expect((await next()).kind).toBe('certificate-refused');
    expect(certOf(keeper)).toBe(contentOf(first));
    copyTo(folder, first);
    expect((await next()).kind).toBe('certificate-reloaded');
  });

  test('reads at once where it is told to, changed or not', async () => {
    const folder = temporaryFolder();
    const { keeper, counters } = await keep(copyTo(folder, first));
    expect(await keeper.reload()).toBe(true);
    copyTo(folder, second);
    const both = await Promise.all([keeper.reload(), keeper.reload()]);
    expect(both).toEqual([true, true]);
    expect(certOf(keeper)).toBe(contentOf(second));
    expect(counters.certificateReloads).toBe(3);
  });

  test('keeps what it has where a listener cannot use the new', async () => {
    const folder = temporaryFolder();
    const { keeper, events } = await keep(copyTo(folder, first), () => {
      throw new Error('no such cipher');
    });
    copyTo(folder, second);
    expect(await keeper.reload()).toBe(false);
    expect(certOf(keeper)).toBe(contentOf(first));
    expect(events).toMatchObject([
      { kind: 'certificate-refused', error: { message: 'no such cipher' } },
    ]);
  });
});
