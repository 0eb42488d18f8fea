/** Sessions by user and Client Identifier, bare or in a map. */
import { heapStats } from 'bun:jsc';
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { SessionIndex } from '../../core/session/session-index.ts';

const names = fc.constantFrom('', '1', '2', 'phone', '__proto__', 'constructor');
const steps = fc.array(fc.record({ user: names, clientIdentifier: names, adds: fc.boolean() }), {
  maxLength: 60,
});

test('the index is a map by user and Client Identifier, whoever comes and goes', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const index = new SessionIndex();
      const plain = new Map<string, { user: string; clientIdentifier: string }>();
      for (const { user, clientIdentifier, adds } of all) {
        const key = JSON.stringify([user, clientIdentifier]);
        const known = plain.get(key);
        if (adds && known === undefined) {
          const session = { user, clientIdentifier };
          plain.set(key, session);
          index.add(session);
        } else if (!adds) {
          expect(index.delete(known ?? { user, clientIdentifier })).toBe(known !== undefined);
          plain.delete(key);
        }
        expect(index.size).toBe(plain.size);
        expect(index.get(user, clientIdentifier)).toBe(plain.get(key));
      }
      for (const session of plain.values()) {
        expect(index.get(session.user, session.clientIdentifier)).toBe(session);
      }
    }),
    { seed: 5, numRuns: 500 },
  );
});

test('a session that another has taken the place of is not taken out with it', () => {
  const index = new SessionIndex();
  const first = { user: 'u', clientIdentifier: 'c' };
  const second = { ...first };
  index.add(first);
  index.delete(first);
  index.add(second);
  expect(index.delete(first)).toBe(false);
  expect(index.get('u', 'c')).toBe(second);
});

test('of users who had several sessions, and have none any more, nothing stays', () => {
  const index = new SessionIndex();
  const maps = () => {
    Bun.gc(true);
    return heapStats().objectTypeCounts.Map ?? 0;
  };
  const before = maps();
  for (let number = 0; number < 2_000; number++) {
    const user = String(number);
    const sessions = ['phone', 'tablet'].map((clientIdentifier) => ({ user, clientIdentifier }));
    for (const session of sessions) index.add(session);
    for (const session of sessions) index.delete(session);
  }
  expect(maps() - before).toBeLessThan(200);
  expect(index.size).toBe(0);
});
