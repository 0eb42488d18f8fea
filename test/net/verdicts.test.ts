/** Tokens of connections on their way to the verifier, and verdicts on their way back. */
import { describe, expect, test } from 'bun:test';
import type { Identity } from '../../core/auth/rights.ts';
import type { Verification } from '../../core/broker/outbox.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { SteadyClock } from '../../core/net/clock.ts';
import type { Verdict } from '../../core/net/verdicts.ts';
import { stage } from './fake-broker.ts';
import { FakeSocket, origin, settled } from './fake-socket.ts';

const identity: Identity = {
  user: 'u',
  role: 'device',
  expiresAtMs: 2_000_000_000_000,
  grants: undefined,
};

describe('tokens', () => {
  test('verdicts that are ready together reach the broker in one turn', async () => {
    const asked: ((verdict: Verdict) => void)[] = [];
    const tokens: string[] = [];
    const { turn, broker } = stage({
      verify: (token) => {
        tokens.push(token);
        return new Promise((resolve) => asked.push(resolve));
      },
    });
    const links = [0, 1, 2].map(() => turn.opened(new FakeSocket(), origin));
    for (const { id } of links) broker.outbox.verify(id, `token ${id}`);
    await settled();
    expect(tokens).toEqual(links.map(({ id }) => `token ${id}`));
    const refusal = {
      kind: 'refuse',
      reasonCode: ReasonCode.NotAuthorized,
      detail: 'token expired',
    } as const;
    asked[0]?.({ kind: 'accept', identity });
    asked[1]?.(refusal);
    asked[2]?.(refusal);
    if (links[2] !== undefined) turn.lost(links[2]); // has nobody to tell any more
    await broker.until(() => broker.count('verified') === 2);
    await settled();
    const results = broker.calls.flatMap((call): Verification[] =>
      call.call === 'verified' ? [call.result] : [],
    );
    expect(results).toEqual([
      { kind: 'accept', connection: links[0]?.id ?? 0, identity },
      { ...refusal, connection: links[1]?.id ?? 0 },
    ]);
  });

  test('a verifier that throws refuses, and is reported', async () => {
    const { turn, broker, events } = stage();
    const link = turn.opened(new FakeSocket(), origin);
    broker.outbox.verify(link.id, 'x');
    await broker.until(() => broker.count('verified') === 1);
    expect(broker.calls.at(-1)).toMatchObject({
      result: { kind: 'refuse', reasonCode: ReasonCode.ServerUnavailable, connection: link.id },
    });
    expect(events.map((event) => event.kind)).toEqual(['fault']);
  });

  test('an expiry is brought from the wall clock to that of the broker', async () => {
    let wall = 1_800_000_000_000;
    const clock = new SteadyClock(
      () => 5_000,
      () => wall,
    );
    const { turn, broker } = stage({
      clock,
      verify: () => Promise.resolve({ kind: 'accept', identity }),
    });
    const link = turn.opened(new FakeSocket(), origin);
    wall += 3_600_000;
    broker.outbox.verify(link.id, 'x');
    await broker.until(() => broker.count('verified') === 1);
    const verified = broker.calls.find((call) => call.call === 'verified');
    if (verified?.call !== 'verified' || verified.result.kind !== 'accept')
      throw new Error('not accepted');
    const left = verified.result.identity.expiresAtMs - clock.now();
    expect(left).toBe(identity.expiresAtMs - wall);
  });
});
