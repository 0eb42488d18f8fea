import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { issuerWarnings, parseIssuers } from '../../core/auth/issuers.ts';
import { secretWarning } from '../../core/auth/keys.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { seed } from '../seed.ts';
import {
  anotherSecret,
  goodClaims,
  mint,
  mintFor,
  nowMs,
  secret,
  secretIssuer,
  verifierOf,
} from './tokens.ts';

fc.configureGlobal({ seed });

const refused = (reasonCode: ReasonCode, detail: string) => ({
  kind: 'refuse' as const,
  reasonCode,
  detail,
});
const badSignature = refused(ReasonCode.BadUserNameOrPassword, 'bad signature');

describe('several issuers', () => {
  const first = { ...secretIssuer, issuer: 'first' };
  const second = {
    ...secretIssuer,
    issuer: 'second',
    secrets: [anotherSecret],
    userPrefix: 'g:',
    mayGrant: false,
  };
  const both = verifierOf([first, second]);
  const from = (iss: string | undefined, key: string, claims: object = {}) =>
    both.verify(mint({ claims: { ...goodClaims, iss, ...claims } }, key), nowMs);

  test('each have their own keys and user ids', async () => {
    expect(await from('first', secret)).toMatchObject({ identity: { user: '423144' } });
    expect(await from('second', anotherSecret)).toMatchObject({ identity: { user: 'g:423144' } });
    expect(await from('second', secret)).toEqual(badSignature);
    expect(await from('first', anotherSecret)).toEqual(badSignature);
    const wrongIssuer = refused(ReasonCode.NotAuthorized, 'wrong issuer');
    expect(await from('third', secret)).toEqual(wrongIssuer);
    expect(await from(undefined, secret)).toEqual(wrongIssuer);
  });

  test('a user id of the first that spells one of the second is refused', async () => {
    expect(await from('first', secret, { sub: 'g:423144' })).toEqual(
      refused(
        ReasonCode.BadUserNameOrPassword,
        'sub begins with the user prefix of another issuer',
      ),
    );
    expect((await from('first', secret, { sub: 'g' })).kind).toBe('accept');
  });

  test('a later one gives no role and no acl, unless configured to', async () => {
    const detail = 'this issuer may not give a role or an acl';
    for (const claims of [{ role: 'admin' }, { role: 'handler' }, { acl: { sub: ['#'] } }]) {
      expect(await from('second', anotherSecret, claims)).toEqual(
        refused(ReasonCode.BadUserNameOrPassword, detail),
      );
    }
    expect((await from('second', anotherSecret, { role: 'device' })).kind).toBe('accept');
    const trusting = verifierOf([first, { ...second, mayGrant: true }]);
    const token = mint({ claims: { ...goodClaims, iss: 'second', role: 'admin' } }, anotherSecret);
    expect(await trusting.verify(token, nowMs)).toMatchObject({ identity: { role: 'admin' } });
  });

  test('never mean the same user, whatever their ids and prefixes', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ':'), minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (prefix, otherPrefix, one, other) => {
        const issuers = ['', prefix, otherPrefix].map((userPrefix, index) => ({
          ...secretIssuer,
          issuer: `issuer ${index}`,
          userPrefix,
        }));
        let verifierOfAll: ReturnType<typeof verifierOf>;
        try {
          verifierOfAll = verifierOf(issuers);
        } catch (error) {
          expect((error as Error).message).toMatch(/two issuers could mean the same user/);
          expect(prefix.startsWith(otherPrefix) || otherPrefix.startsWith(prefix)).toBe(true);
          return;
        }
        const users = new Map<string, string>();
        for (const { issuer } of issuers) {
          for (const sub of [one, other, prefix + one, otherPrefix + one, prefix + other]) {
            const verdict = await verifierOfAll.verify(mintFor({ iss: issuer, sub }), nowMs);
            if (verdict.kind === 'refuse') continue;
            const { user } = verdict.identity;
            expect(users.get(user) ?? issuer).toBe(issuer);
            users.set(user, issuer);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('the start is stopped', () => {
  const first = { ...secretIssuer, issuer: 'first' };
  const second = { ...secretIssuer, issuer: 'second', userPrefix: 'g:' };
  test.each([
    ['no issuer at all', [], 'no issuer'],
    ['an empty secret', [{ ...secretIssuer, secrets: [''] }], 'secret is empty'],
    ['an empty previous secret', [{ ...secretIssuer, secrets: [secret, ''] }], 'secret is empty'],
    ['no key of any kind', [{ ...secretIssuer, secrets: [] }], 'neither secret nor key set'],
    ['an empty audience', [{ ...secretIssuer, audience: [''] }], 'cannot be empty'],
    ['an empty issuer', [{ ...secretIssuer, issuer: '' }], 'cannot be empty'],
    ['discovery without issuer', [{ ...secretIssuer, discover: true }], 'needs the issuer'],
    [
      'a second issuer without prefix',
      [first, { ...second, userPrefix: '' }],
      'needs a user prefix',
    ],
    ['a nameless one among several', [secretIssuer, second], 'needs its iss'],
    ['the same issuer twice', [first, { ...second, issuer: 'first' }], 'configured twice'],
    ['the same prefix twice', [first, second, { ...second, issuer: '3' }], 'same user'],
    [
      'a prefix that begins with another',
      [first, second, { ...second, issuer: '3', userPrefix: 'g:x' }],
      'same user',
    ],
    [
      'a prefix that another begins with',
      [first, second, { ...second, issuer: '3', userPrefix: 'g' }],
      'same user',
    ],
    [
      'a key set over plain http',
      [{ ...secretIssuer, jwksUrl: 'http://keys.example.com/' }],
      'not https',
    ],
    ['a key set at no URL', [{ ...secretIssuer, jwksUrl: 'keys' }], 'no URL'],
    ['a key set in a file', [{ ...secretIssuer, jwksUrl: 'file:///etc/keys' }], 'not https'],
    [
      'a password in the URL',
      [{ ...secretIssuer, jwksUrl: 'https://a:b@example.com/' }],
      'holds a password',
    ],
  ] as const)('by %s', (_, issuers, message) => {
    expect(() => verifierOf(issuers)).toThrow(message);
  });

  test('by a leeway or a lifetime out of range', () => {
    for (const leewaySeconds of [-1, 61, Number.NaN]) {
      expect(() => verifierOf([secretIssuer], { leewaySeconds })).toThrow('leeway');
    }
    expect(() => verifierOf([secretIssuer], { maximumLifetimeSeconds: 0 })).toThrow('lifetime');
  });
});

describe('further issuers as a setting', () => {
  test('are discovered, trusted with devices alone, and prefixed', () => {
    expect(
      parseIssuers(`[
        { "issuer": "https://a.example.com/", "userPrefix": "a:" },
        { "issuer": "b", "userPrefix": "b:", "secret": "s", "audience": ["x"], "mayGrant": true },
        { "issuer": "c", "userPrefix": "c:", "jwksUrl": "https://c.example.com/keys" }
      ]`),
    ).toEqual([
      {
        issuer: 'https://a.example.com/',
        audience: [],
        secrets: [],
        jwksUrl: undefined,
        discover: true,
        userPrefix: 'a:',
        mayGrant: false,
      },
      {
        issuer: 'b',
        audience: ['x'],
        secrets: ['s'],
        jwksUrl: undefined,
        discover: false,
        userPrefix: 'b:',
        mayGrant: true,
      },
      {
        issuer: 'c',
        audience: [],
        secrets: [],
        jwksUrl: 'https://c.example.com/keys',
        discover: false,
        userPrefix: 'c:',
        mayGrant: false,
      },
    ]);
  });

  test.each([
    ['{}', 'expected a list'],
    ['[1]', 'issuer 1 of the list must be an object'],
    ['[{"issuer":"a"}]', 'issuer 1 of the list needs userPrefix'],
    ['[{"userPrefix":"a"}]', 'issuer 1 of the list needs issuer'],
    ['[{"issuer":"a","userPrefix":""}]', 'userPrefix must be text'],
    ['[{"issuer":"a","userPrefix":"a","audience":"x"}]', 'audience must be a list'],
    ['[{"issuer":"a","userPrefix":"a","mayGrant":"yes"}]', 'mayGrant must be'],
    ['[{"issuer":"a","userPrefix":"a","secret":""}]', 'secret must be text'],
    ['[{"issuer":"a","userPrefix":"a","jwks":"x"}]', 'has "jwks"'],
    ['[', 'line 1, column 2'],
  ])('%s is refused: %s', (text, message) => {
    expect(() => parseIssuers(text)).toThrow(message);
  });
});

describe('secrets', () => {
  test('are warned of where they are short, well known or monotonous, and never shown', () => {
    expect(secretWarning(secret)).toBeUndefined();
    for (const weak of ['secret', 'Your-256-bit-Secret', 'x'.repeat(31), 'ab'.repeat(40)]) {
      expect(secretWarning(weak)).toBeString();
    }
    const [warning, ...rest] = issuerWarnings([{ ...secretIssuer, secrets: [secret, 'hunter2'] }]);
    expect(rest).toEqual([]);
    expect(warning).toStartWith('the previous shared secret has 7 bytes');
    expect(warning).not.toContain('hunter2');
  });

  test('an issuer without audience is warned of', () => {
    const oidc = { ...secretIssuer, secrets: [], issuer: 'https://a.example.com/', discover: true };
    expect(issuerWarnings([oidc])).toHaveLength(1);
    expect(issuerWarnings([{ ...oidc, audience: ['app'] }])).toEqual([]);
  });
});
