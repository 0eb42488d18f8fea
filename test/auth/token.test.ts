import { describe, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { createVerifier, defaultVerifierOptions } from '../../core/auth/token.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { seed } from '../seed.ts';
import {
  anotherSecret,
  base64url,
  goodClaims,
  KeyServer,
  mint,
  mintEdDsa,
  mintEs256,
  mintFor,
  mintRs256,
  nowMs,
  nowSeconds,
  secret,
  secretIssuer,
  verifierOf,
} from './tokens.ts';

fc.configureGlobal({ seed });

const verifier = verifierOf([secretIssuer]);
const refused = (reasonCode: ReasonCode, detail: string) => ({
  kind: 'refuse' as const,
  reasonCode,
  detail,
});
const expired = refused(ReasonCode.NotAuthorized, 'token expired');
const badSignature = refused(ReasonCode.BadUserNameOrPassword, 'bad signature');

describe('a good token', () => {
  test('gives user, role, grants and expiry', async () => {
    expect(await verifier.verify(mint(), nowMs)).toEqual({
      kind: 'accept',
      identity: {
        user: '423144',
        role: 'device',
        expiresAtMs: nowMs + 3_600_000,
        grants: undefined,
      },
    });
    const token = mintFor({ role: 'handler', acl: { pub: ['a/+'], retain: false } });
    expect(await verifier.verify(token, nowMs)).toMatchObject({
      identity: {
        role: 'handler',
        grants: { publish: ['a/+'], subscribe: [], retain: false, share: true },
      },
    });
  });

  test.each([
    ['HS256', 'sha256'],
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
  ])('may be signed with %s', async (alg, hash) => {
    const verdict = await verifier.verify(mint({ header: { alg } }, secret, hash), nowMs);
    expect(verdict.kind).toBe('accept');
  });

  test('may be signed with the previous secret during a rotation, and with no third one', async () => {
    const rotating = verifierOf([{ ...secretIssuer, secrets: [anotherSecret, secret] }]);
    expect((await rotating.verify(mint(), nowMs)).kind).toBe('accept');
    expect((await rotating.verify(mint({}, anotherSecret), nowMs)).kind).toBe('accept');
    expect(await rotating.verify(mint({}, 'a third secret'), nowMs)).toEqual(badSignature);
  });

  test('may be signed with a short secret', async () => {
    const short = verifierOf([{ ...secretIssuer, secrets: ['x'] }]);
    expect((await short.verify(mint({}, 'x'), nowMs)).kind).toBe('accept');
  });

  test('may have its claims under other names, taken literally', async () => {
    const claims = {
      user: 'https://example.com/user.id',
      role: 'https://example.com/role',
      acl: 'https://example.com/acl',
    };
    const namespaced = verifierOf([secretIssuer], { claims });
    const token = mintFor({
      [claims.user]: 'anna',
      [claims.role]: 'admin',
      [claims.acl]: { sub: ['x'] },
      role: 'nonsense, and not looked at',
    });
    expect(await namespaced.verify(token, nowMs)).toMatchObject({
      identity: { user: 'anna', role: 'admin', grants: { subscribe: ['x'] } },
    });
    expect(await namespaced.verify(mint(), nowMs)).toEqual(
      refused(ReasonCode.BadUserNameOrPassword, `the token has no ${claims.user}`),
    );
  });

  test('a claim name that every object inherits is found in the token or not at all', async () => {
    const claims = { ...defaultVerifierOptions.claims, acl: 'constructor', role: '__proto__' };
    const odd = verifierOf([secretIssuer], { claims });
    expect(await odd.verify(mint(), nowMs)).toMatchObject({
      identity: { role: 'device', grants: undefined },
    });
    const token = mint({ claims: `{"sub":"1","exp":${nowSeconds + 9},"__proto__":"admin"}` });
    expect(await odd.verify(token, nowMs)).toMatchObject({ identity: { role: 'admin' } });
  });
});

describe('the time of a token', () => {
  const token = mint({ claims: { sub: '1', nbf: nowSeconds - 10, exp: nowSeconds + 10 } });
  const after = (ms: number) => verifier.verify(token, nowMs + ms);

  test('begins with nbf and ends with exp, to the millisecond', async () => {
    const notYet = refused(ReasonCode.NotAuthorized, 'token not yet valid');
    expect(await after(-10_001)).toEqual(notYet);
    expect(await after(-10_000)).toMatchObject({ identity: { expiresAtMs: nowMs + 10_000 } });
    expect((await after(9_999)).kind).toBe('accept');
    expect(await after(10_000)).toEqual(expired);
  });

  test('is wider by the leeway on both sides, and the connection ends with it', async () => {
    const lenient = verifierOf([secretIssuer], { leewaySeconds: 30 });
    expect((await lenient.verify(token, nowMs - 40_001)).kind).toBe('refuse');
    expect((await lenient.verify(token, nowMs - 40_000)).kind).toBe('accept');
    expect(await lenient.verify(token, nowMs + 39_999)).toMatchObject({
      identity: { expiresAtMs: nowMs + 40_000 },
    });
    expect(await lenient.verify(token, nowMs + 40_000)).toEqual(expired);
  });

  test('needs an exp, unless configured otherwise', async () => {
    const endless = mint({ claims: { sub: '1' } });
    expect(await verifier.verify(endless, nowMs)).toEqual(
      refused(ReasonCode.BadUserNameOrPassword, 'the token has no exp'),
    );
    const lax = verifierOf([secretIssuer], { requireExpiry: false });
    expect(await lax.verify(endless, nowMs)).toMatchObject({
      identity: { expiresAtMs: Number.POSITIVE_INFINITY },
    });
    expect(await lax.verify(mintFor({ exp: nowSeconds }), nowMs)).toEqual(expired);
  });

  test('may be bounded: from iat to exp, and from now where iat is absent or ahead', async () => {
    const bounded = verifierOf([secretIssuer], {
      maximumLifetimeSeconds: 600,
      requireExpiry: false,
    });
    const tooLong = refused(
      ReasonCode.BadUserNameOrPassword,
      'the token is valid for more than 600 s',
    );
    const lives = async (iat: number | undefined, exp: number) =>
      bounded.verify(
        mint({ claims: { sub: '1', iat: iat && nowSeconds + iat, exp: nowSeconds + exp } }),
        nowMs,
      );
    expect((await lives(-300, 300)).kind).toBe('accept');
    expect(await lives(-301, 300)).toEqual(tooLong);
    expect((await lives(undefined, 600)).kind).toBe('accept');
    expect(await lives(undefined, 601)).toEqual(tooLong);
    expect(await lives(500, 1000)).toEqual(tooLong);
    expect(await bounded.verify(mint({ claims: { sub: '1' } }), nowMs)).toEqual(
      refused(ReasonCode.BadUserNameOrPassword, 'the token has no exp'),
    );
  });
});

describe('issuer and audience', () => {
  const strict = verifierOf([
    { ...secretIssuer, issuer: 'https://id.example.com/', audience: ['bellhop', 'app'] },
  ]);
  const iss = 'https://id.example.com/';

  test.each([
    [{ iss, aud: 'bellhop' }, 'accept'],
    [{ iss, aud: ['other', 'app'] }, 'accept'],
    [{ iss, aud: 'other' }, 'wrong audience'],
    [{ iss, aud: [] }, 'wrong audience'],
    [{ iss }, 'wrong audience'],
    [{ iss, aud: { bellhop: true } }, 'wrong audience'],
    [{ iss: 'https://id.example.com', aud: 'app' }, 'wrong issuer'],
    [{ iss: [iss], aud: 'app' }, 'wrong issuer'],
    [{ aud: 'app' }, 'wrong issuer'],
  ])('%j: %s', async (claims, outcome) => {
    expect(await strict.verify(mintFor(claims), nowMs)).toMatchObject(
      outcome === 'accept' ? { kind: 'accept' } : refused(ReasonCode.NotAuthorized, outcome),
    );
  });
});

describe('whatever the bytes', () => {
  const good = mint();
  const part = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.json().map(base64url),
    fc.uint8Array({ maxLength: 40 }).map(base64url),
    fc.constantFrom(...good.split('.')),
  );

  test('the verifier answers, and refuses what nobody signed', async () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        if (text === good) return;
        expect(await verifier.verify(text, nowMs)).toMatchObject({ kind: 'refuse' });
      }),
      { numRuns: 2_000 },
    );
  });

  test('a good token with one character changed is good for nothing', async () => {
    // The last character of a signature has bits that stand for nothing; leave it alone.
    const place = fc.nat(good.length - 2);
    const alphabet = [
      ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \0é',
    ];
    await fc.assert(
      fc.asyncProperty(place, fc.constantFrom(...alphabet), async (at, character) => {
        const text = good.slice(0, at) + character + good.slice(at + 1);
        if (text === good) return;
        expect(await verifier.verify(text, nowMs)).toMatchObject({ kind: 'refuse' });
      }),
      { numRuns: 1_000 },
    );
  });

  test('claims of any shape are read or refused, and never throw', async () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('#', '$share/g/x', `\${user}`, 'admin'));
    const claims = fc.record(
      { sub: value, exp: value, nbf: value, iat: value, role: value, acl: value, aud: value },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(claims, fc.boolean(), async (drawn, valid) => {
        const token = mint({ claims: valid ? { ...drawn, ...goodClaims } : drawn });
        const verdict = await verifier.verify(token, nowMs);
        if (verdict.kind === 'refuse') expect(verdict.detail).not.toBe('');
        else expect(typeof verdict.identity.user).toBe('string');
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('keys of different kinds', () => {
  test('serve side by side, each for its own algorithms', async () => {
    await using server = new KeyServer();
    const mixed = verifierOf([{ ...secretIssuer, jwksUrl: server.origin }]);
    await mixed.prefetch(nowMs);
    for (const token of [mint(), mintRs256(), mintEs256(), mintEdDsa()]) {
      expect((await mixed.verify(token, nowMs)).kind).toBe('accept');
    }
    expect(server.count).toBe(1);
  });
});

test('a verifier that is printed shows no secret', async () => {
  const shown = createVerifier({ ...defaultVerifierOptions, issuers: [secretIssuer] });
  await shown.verify(mint({}, anotherSecret), nowMs);
  for (const text of [inspect(shown, { depth: 9, showHidden: true }), Bun.inspect(shown)]) {
    expect(text).not.toContain(secret);
  }
  expect(JSON.stringify(shown)).not.toContain(secret);
});
