import { describe, expect, test } from 'bun:test';
import { generateKeyPairSync } from 'node:crypto';
import {
  defaultFetchOptions,
  type FetchOptions,
  type KeyEvent,
  RemoteKeys,
} from '../../core/auth/jwks.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import {
  jwk,
  KeyServer,
  mintEs256,
  mintRs256,
  nowMs,
  otherRsa,
  publishedKeys,
  rsa,
  secretIssuer,
  verifierOf,
} from './tokens.ts';

const minute = 60_000;
const hour = 60 * minute;
const rsaHeader = { alg: 'RS256', kid: 'rsa-1' };

function keysAt(server: KeyServer, options: Partial<FetchOptions> = {}) {
  const events: KeyEvent[] = [];
  const keys = new RemoteKeys(
    { jwksUrl: `${server.origin}/keys` },
    { ...defaultFetchOptions, ...options },
    (event) => events.push(event),
  );
  const find = async (kid: unknown, now: number, alg = 'RS256') =>
    (await keys.find({ alg, kid }, now)).kind;
  return { keys, events, find };
}

const failing = () => new Response('out of order', { status: 503 });

describe('a key set', () => {
  test('is fetched once, and then serves for its maximum age', async () => {
    await using server = new KeyServer();
    const { find, events } = keysAt(server);
    expect(await find('rsa-1', nowMs)).toBe('found');
    expect(await find('ec-1', nowMs + 10 * minute, 'ES256')).toBe('found');
    expect(server.count).toBe(1);
    expect(await find('rsa-1', nowMs + 10 * minute + 1)).toBe('found');
    expect(server.count).toBe(2);
    expect(events[0]).toEqual({ kind: 'keys-fetched', url: `${server.origin}/keys`, keys: 3 });
  });

  test('is fetched once, however many tokens ask at the same time', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    const all = await Promise.all(Array.from({ length: 200 }, (_, n) => find(`kid ${n}`, nowMs)));
    expect(new Set(all)).toEqual(new Set(['unknown']));
    expect(server.count).toBe(1);
  });

  test('is fetched again for a key id that it lacks: how a rotation is noticed', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    expect(await find('rsa-2', nowMs)).toBe('unknown');
    server.answer = () =>
      Response.json({ keys: [...publishedKeys, jwk(otherRsa.publicKey, { kid: 'rsa-2' })] });
    expect(await find('rsa-2', nowMs + 29_999)).toBe('unknown');
    expect(await find('rsa-2', nowMs + 30_000)).toBe('found');
    expect(server.count).toBe(2);
  });

  test('is fetched at most once in a cool-down, however many unknown key ids arrive', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    for (let second = 0; second < 120; second++) {
      for (let n = 0; n < 5; n++) await find(`${second} ${n}`, nowMs + second * 1000);
    }
    expect(server.count).toBe(4);
  });

  test('from which a key was taken is not used with that key any more', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    expect(await find('rsa-1', nowMs)).toBe('found');
    server.answer = () => Response.json({ keys: publishedKeys.slice(1) });
    expect(await find('rsa-1', nowMs + 10 * minute)).toBe('found');
    expect(await find('rsa-1', nowMs + 11 * minute)).toBe('unknown');
  });

  test('that was fetched while the clock was ahead does not pass for fresh until then', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    expect(await find('rsa-1', nowMs + 24 * hour)).toBe('found');
    expect(await find('rsa-1', nowMs)).toBe('found');
    expect(server.count).toBe(2);
  });

  test('that is empty is taken at its word', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    server.answer = () => Response.json({ keys: [] });
    expect(await find('rsa-1', nowMs)).toBe('unknown');
  });
});

describe('while fetching fails', () => {
  test('the last good set serves on, for a bounded age, and no token waits for it', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    expect(await find('rsa-1', nowMs)).toBe('found');
    server.answer = failing;
    expect(await find('rsa-1', nowMs + hour)).toBe('found');
    const held = Promise.withResolvers<Response>();
    server.answer = () => held.promise;
    expect(await find('rsa-1', nowMs + 2 * hour)).toBe('found'); // though the answer is held back
    held.resolve(failing());
    expect(await find('rsa-1', nowMs + 24 * hour)).toBe('found');
    server.answer = failing;
    expect(await find('rsa-1', nowMs + 24 * hour + 1)).toBe('unavailable');
  });

  test('an unknown key may be a new one, so it is not called bad', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    expect(await find('rsa-2', nowMs)).toBe('unknown');
    server.answer = failing;
    expect(await find('rsa-2', nowMs + minute)).toBe('unavailable');
  });

  test('attempts grow rarer, up to the cool-down, and the first success ends that', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    server.answer = failing;
    const attempts: number[] = [];
    for (let second = 0; second <= 120; second++) {
      const before = server.count;
      expect(await find('rsa-1', nowMs + second * 1000)).toBe('unavailable');
      if (server.count > before) attempts.push(second);
    }
    expect(attempts).toEqual([0, 1, 3, 7, 15, 31, 61, 91]);
    server.answer = () => Response.json({ keys: publishedKeys });
    expect(await find('rsa-1', nowMs + 121_000)).toBe('found');
  });

  test('a clock that was set back does not silence the attempts', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    server.answer = failing;
    expect(await find('rsa-1', nowMs)).toBe('unavailable');
    server.answer = () => Response.json({ keys: publishedKeys });
    expect(await find('rsa-1', nowMs - 24 * hour)).toBe('found');
  });

  test('a client is told that it is not its token', async () => {
    await using server = new KeyServer();
    server.answer = failing;
    const verifier = verifierOf([
      { ...secretIssuer, secrets: [], jwksUrl: `${server.origin}/keys` },
    ]);
    expect(await verifier.verify(mintRs256(), nowMs)).toEqual({
      kind: 'refuse',
      reasonCode: ReasonCode.ServerUnavailable,
      detail: 'keys unavailable',
    });
  });

  test.each([
    ['no JSON', () => new Response('<html>'), 'not JSON'],
    ['no key set', () => Response.json({ keys: 'none' }), 'malformed'],
    ['a list', () => Response.json([]), 'malformed'],
    ['no UTF-8', () => new Response(new Uint8Array([0x22, 0xff, 0x22])), ''],
    ['a status other than 200', () => new Response('{"keys":[]}', { status: 203 }), 'status 203'],
    ['a redirect', () => Response.redirect('/elsewhere', 302), ''],
    ['too much', () => new Response(new Uint8Array(600 * 1024).fill(0x20)), 'longer than 524288'],
  ])('because the answer is %s, the event says so', async (_, answer, detail) => {
    await using server = new KeyServer();
    const { find, events } = keysAt(server);
    server.answer = answer;
    expect(await find('rsa-1', nowMs)).toBe('unavailable');
    expect(server.count).toBe(1);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      kind: 'keys-failed',
      detail: expect.stringContaining(detail),
    });
  });

  test('an answer that never comes is given up', async () => {
    await using server = new KeyServer();
    const { find, events } = keysAt(server, { timeoutMs: 50 });
    const never = Promise.withResolvers<Response>();
    server.answer = () => never.promise;
    expect(await find('rsa-1', nowMs)).toBe('unavailable');
    never.resolve(failing());
    expect(events[0]).toMatchObject({ kind: 'keys-failed', detail: expect.stringMatching(/time/) });
  });

  test('an answer that drips on and on is given up as well', async () => {
    await using server = new KeyServer();
    const { find, events } = keysAt(server, { timeoutMs: 50 });
    const dripping = Promise.withResolvers<void>();
    server.answer = () =>
      new Response(
        new ReadableStream({
          async start(controller) {
            controller.enqueue(new TextEncoder().encode('{"keys":'));
            await dripping.promise;
            controller.close();
          },
        }),
      );
    expect(await find('rsa-1', nowMs)).toBe('unavailable');
    dripping.resolve();
    expect(events[0]).toMatchObject({ kind: 'keys-failed' });
  });
});

describe('choosing a key', () => {
  test('is by the equal kid, and a kid that is no text equals none', async () => {
    await using server = new KeyServer();
    const { find } = keysAt(server);
    for (const kid of ['RSA-1', '', 'ec-1', '../keys', null, 1, ['rsa-1'], { kid: 'rsa-1' }]) {
      expect([kid, await find(kid, nowMs)]).toEqual([kid, 'unknown']);
    }
  });

  test('without kid tries the few keys that fit the algorithm', async () => {
    await using server = new KeyServer();
    const spares = Array.from({ length: 6 }, (_, n) => jwk(rsa.publicKey, { kid: `spare ${n}` }));
    server.answer = () =>
      Response.json({
        keys: [jwk(otherRsa.publicKey, { kid: 'new' }), ...publishedKeys, ...spares],
      });
    const { keys } = keysAt(server);
    const lookup = await keys.find({ alg: 'RS256', kid: undefined }, nowMs);
    expect(lookup.kind === 'found' && lookup.keys).toHaveLength(4);
    const verifier = verifierOf([{ ...secretIssuer, secrets: [], jwksUrl: server.origin }]);
    const token = mintRs256({ header: { alg: 'RS256' } });
    expect((await verifier.verify(token, nowMs)).kind).toBe('accept');
  });

  test('passes over keys for encryption, for another algorithm, secret and private ones', async () => {
    await using server = new KeyServer();
    server.answer = () =>
      Response.json({
        keys: [
          jwk(rsa.publicKey, { kid: 'enc', use: 'enc' }),
          jwk(rsa.publicKey, { kid: 'ps', alg: 'PS256' }),
          jwk(rsa.privateKey, { kid: 'private' }),
          { kty: 'oct', kid: 'oct', k: 'c2VjcmV0', alg: 'HS256' },
          { kty: 'RSA', kid: 'broken', n: '!', e: 'AQAB' },
        ],
      });
    const { find } = keysAt(server);
    for (const kid of ['enc', 'ps', 'private', 'oct', 'broken']) {
      expect([kid, await find(kid, nowMs)]).toEqual([kid, 'unknown']);
    }
    expect(await find('ps', nowMs, 'PS256')).toBe('found');
  });

  test('an RSA key of less than 2048 bits is not used', async () => {
    await using server = new KeyServer();
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
    server.answer = () => Response.json({ keys: [jwk(small.publicKey, { kid: 'rsa-1' })] });
    const verifier = verifierOf([{ ...secretIssuer, secrets: [], jwksUrl: server.origin }]);
    expect(await verifier.verify(mintRs256({}, small.privateKey), nowMs)).toMatchObject({
      kind: 'refuse',
      detail: 'key not usable',
    });
  });
});

describe('an OpenID Connect issuer', () => {
  function issuerOn(server: KeyServer, path = '', document: object = {}): string {
    const issuer = server.origin + path;
    server.answer = (asked) =>
      asked.endsWith('/.well-known/openid-configuration')
        ? Response.json({ issuer, jwks_uri: `${server.origin}/jwks`, ...document })
        : Response.json({ keys: publishedKeys });
    return issuer;
  }
  const oidc = { ...secretIssuer, secrets: [], discover: true };

  test.each(['', '/', '/realms/a', '/tenant/'])('at path %j is discovered', async (path) => {
    await using server = new KeyServer();
    const issuer = issuerOn(server, path);
    const verifier = verifierOf([{ ...oidc, issuer }]);
    const claims = { sub: '1', exp: nowMs / 1000 + 60, iss: issuer };
    expect((await verifier.verify(mintEs256({ claims }), nowMs)).kind).toBe('accept');
    expect([...server.requests.keys()]).toEqual([
      `${path.replace(/\/$/, '')}/.well-known/openid-configuration`,
      '/jwks',
    ]);
  });

  test.each([
    ['names another issuer', { issuer: 'https://evil.example.com' }, 'another issuer'],
    ['has no jwks_uri', { jwks_uri: undefined }, 'no jwks_uri'],
    ['sends us to plain http', { jwks_uri: 'http://keys.example.com/' }, 'not https'],
    ['sends us to a file', { jwks_uri: 'file:///etc/passwd' }, 'not https'],
  ])('whose document %s is not followed', async (_, document, detail) => {
    await using server = new KeyServer();
    const issuer = issuerOn(server, '', document);
    const events: KeyEvent[] = [];
    const keys = new RemoteKeys({ issuer }, defaultFetchOptions, (event) => events.push(event));
    expect((await keys.find(rsaHeader, nowMs)).kind).toBe('unavailable');
    expect(events).toMatchObject([
      { kind: 'keys-failed', url: issuer, detail: expect.stringContaining(detail) },
    ]);
    expect(server.count).toBe(1);
  });

  test('whose key set has moved is discovered anew', async () => {
    await using server = new KeyServer();
    const issuer = issuerOn(server);
    const keys = new RemoteKeys({ issuer });
    expect((await keys.find(rsaHeader, nowMs)).kind).toBe('found');
    server.answer = (path) =>
      path === '/jwks'
        ? new Response('gone', { status: 410 })
        : path === '/new-jwks'
          ? Response.json({ keys: publishedKeys.slice(1) })
          : Response.json({ issuer, jwks_uri: `${server.origin}/new-jwks` });
    await keys.refresh(nowMs + hour);
    expect((await keys.find(rsaHeader, nowMs + hour)).kind).toBe('found'); // the last good set
    await keys.refresh(nowMs + 2 * hour);
    expect((await keys.find(rsaHeader, nowMs + 2 * hour)).kind).toBe('unknown');
    expect(server.requests.get('/new-jwks')).toBe(1);
  });
});

test('plain http is for this machine, or asked for by name', () => {
  for (const url of [
    'http://localhost/k',
    'http://127.0.0.1:1/k',
    'http://[::1]/k',
    'https://a/k',
  ]) {
    expect(() => new RemoteKeys({ jwksUrl: url })).not.toThrow();
  }
  for (const url of [
    'http://127.0.0.1.example.com/k',
    'http://localhost.example.com/',
    'ftp://a/',
  ]) {
    expect(() => new RemoteKeys({ jwksUrl: url })).toThrow('not https');
  }
  const allowed = { ...defaultFetchOptions, allowInsecure: true };
  expect(() => new RemoteKeys({ jwksUrl: 'http://keys.internal/k' }, allowed)).not.toThrow();
  expect(() => new RemoteKeys({ jwksUrl: 'ftp://keys.internal/k' }, allowed)).toThrow('not https');
});

test('events show a URL without its query', async () => {
  await using server = new KeyServer();
  const events: KeyEvent[] = [];
  const report = (event: KeyEvent) => events.push(event);
  const jwksUrl = `${server.origin}/keys?token=sesame`;
  await new RemoteKeys({ jwksUrl }, defaultFetchOptions, report).refresh(nowMs);
  server.answer = failing;
  await new RemoteKeys({ jwksUrl }, defaultFetchOptions, report).refresh(nowMs);
  expect(events).toHaveLength(2);
  expect(JSON.stringify(events)).not.toContain('sesame');
});
