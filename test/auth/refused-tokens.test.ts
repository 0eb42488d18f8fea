import { describe, expect, test } from 'bun:test';
import { RefusedTokens } from '../../core/auth/refused-tokens.ts';
import {
  KeyServer,
  mintFor,
  mintRs256,
  nowMs,
  nowSeconds,
  secretIssuer,
  verifierOf,
} from './tokens.ts';

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
    const token = mintRs256({ header: { alg: 'RS256', kid: 'ec-1' } });
    const remote = { ...secretIssuer, secrets: [], jwksUrl: server.origin };
    const changing = verifierOf([remote]);
    expect((await changing.verify(token, nowMs)).kind).toBe('refuse');
    const keys = [{ ...(await import('./tokens.ts')).publishedKeys[0], kid: 'ec-1' }];
    server.answer = () => Response.json({ keys });
    expect((await changing.verify(token, nowMs + 60_000)).kind).toBe('accept');
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
