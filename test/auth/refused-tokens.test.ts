import { describe, expect, test } from 'bun:test';
import { RefusedTokens } from '../../core/auth/refused-tokens.ts';
import {
  jwk,
  KeyServer,
  mintFor,
  mintRs256,
  nowMs,
  nowSeconds,
  otherRsa,
  secretIssuer,
  verifierOf,
} from './tokens.ts';

const hour = 3_600_000;
const expired = { kind: 'refuse', detail: 'token expired' };

describe('a token that a client presents again and again', () => {
  test('is remembered as expired, but not when the clock is set back', async () => {
    const fresh = verifierOf([secretIssuer]);
    const token = mintFor({ exp: nowSeconds + 10 });
    expect(await fresh.verify(token, nowMs + 20_000)).toMatchObject(expired);
    expect(await fresh.verify(token, nowMs + 21_000)).toMatchObject(expired);
    expect((await fresh.verify(token, nowMs)).kind).toBe('accept');
    expect(await fresh.verify(token, nowMs + 20_000)).toMatchObject(expired);
  });

  test('is remembered as badly signed only where keys never change', async () => {
    await using server = new KeyServer();
    const token = mintRs256({}, otherRsa.privateKey);
    const changing = verifierOf([{ ...secretIssuer, secrets: [], jwksUrl: server.origin }]);
    expect(await changing.verify(token, nowMs)).toMatchObject({ detail: 'bad signature' });
    server.answer = () => Response.json({ keys: [jwk(otherRsa.publicKey, { kid: 'rsa-1' })] });
    expect((await changing.verify(token, nowMs + hour / 2)).kind).toBe('accept');
  });

  test('is answered without a look at the keys', async () => {
    await using server = new KeyServer();
    const verifier = verifierOf([{ ...secretIssuer, secrets: [], jwksUrl: server.origin }]);
    const token = mintRs256({ claims: { sub: '1', exp: nowSeconds } });
    expect(await verifier.verify(token, nowMs)).toMatchObject(expired);
    expect(await verifier.verify(token, nowMs + hour)).toMatchObject(expired);
    expect(server.count).toBe(1);
  });

  test('takes the place of the one that was of no use for longest', () => {
    const tokens = new RefusedTokens<string>(2);
    tokens.add('a', 'A', 0);
    tokens.add('b', 'B', 0);
    expect(tokens.get('a', 1)).toBe('A');
    tokens.add('c', 'C', 0);
    expect([tokens.get('a', 1), tokens.get('b', 1), tokens.get('c', 1)]).toEqual([
      'A',
      undefined,
      'C',
    ]);
    expect(tokens.size).toBe(2);
    const none = new RefusedTokens<string>(0);
    none.add('a', 'A', 0);
    expect(none.get('a', 1)).toBeUndefined();
  });
});
