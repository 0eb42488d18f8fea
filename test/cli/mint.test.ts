import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, jwtVerify } from 'jose';
import { mint, parseDuration, type TokenClaims } from '../../core/cli/mint.ts';
import { defaultConfig } from '../../core/ops/configuration.ts';

const secret = 'a secret of the tests, which is long enough';
const claims: TokenClaims = { user: 'u', role: 'device', expiresInSeconds: 60, acl: undefined };

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'bellhop-mint-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

test('a token is signed with JWT_SECRET, says who, and expires', async () => {
  const token = await mint({ ...defaultConfig, jwtSecret: secret }, claims);
  const { payload, protectedHeader } = await jwtVerify(token, new TextEncoder().encode(secret));
  expect(protectedHeader.alg).toBe('HS256');
  expect(payload).toEqual({ sub: 'u', iat: expect.any(Number), exp: (payload.iat ?? 0) + 60 });
});

test('without JWT_SECRET it is signed with the secret of the data folder', async () => {
  writeFileSync(join(dataDir, 'jwt-secret'), `${secret}\n`);
  const token = await mint({ ...defaultConfig, dataDir }, claims);
  await jwtVerify(token, new TextEncoder().encode(secret));
});

test('without either there is nothing to sign with, and nothing is made', () => {
  expect(() => mint({ ...defaultConfig, dataDir }, claims)).toThrow('no shared secret');
  expect(() => mint({ ...defaultConfig, dataDir }, claims)).toThrow(join(dataDir, 'jwt-secret'));
});

test('claims have the names, issuer and audience that the settings ask for', async () => {
  const config = {
    ...defaultConfig,
    jwtSecret: secret,
    jwtClaimUser: 'uid',
    jwtClaimRole: 'https://example.com/role',
    jwtClaimAcl: 'rights',
    jwtIssuer: 'https://example.com',
    jwtAudience: ['app', 'other'],
  };
  const acl = { pub: ['a/#'], sub: [] };
  const token = await mint(config, { user: 'u', role: 'admin', expiresInSeconds: undefined, acl });
  expect(decodeJwt(token)).toEqual({
    uid: 'u',
    'https://example.com/role': 'admin',
    rights: acl,
    iss: 'https://example.com',
    aud: 'app',
    iat: expect.any(Number),
  });
});

test('times are written with their unit', () => {
  const written = ['90s', '30m', '1h', '7d', '0s', '1', 'h', '-1h', '1.5h', '99999999d'];
  expect(written.map(parseDuration)).toEqual([
    ...[90, 1_800, 3_600, 604_800],
    ...[undefined, undefined, undefined, undefined, undefined, undefined],
  ]);
});
