import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { CommandQueue, type Waiting, waitingBytes } from '../../core/plugins/command-queue.ts';
import { seed } from '../seed.ts';
import { by, command } from './folder.ts';

let sequence = 0;
function entry(user: string, payload = ''): Waiting {
  const message = command('a', payload, by(user));
  const receipt = { number: 0, outstanding: 1, dropped: false };
  return { message, receipt, handler: 0, invocation: '', sequence: ++sequence };
}
const userOf = (each: Waiting): string => each.message.publisher.user;

describe('the bounds', () => {
  test('count what waits and what is taken, until it is finished', () => {
    const queue = new CommandQueue<object>(2, 1_000_000);
    const lane = {};
    expect([queue.offer(entry('a')), queue.offer(entry('b'))]).toEqual([undefined, undefined]);
    const taken = queue.take(lane);
    expect(queue.offer(entry('c'))).toBe('queue-full');
    queue.finished(taken as Waiting);
    expect(queue.offer(entry('c'))).toBeUndefined();
    expect(queue.size).toBe(2);
  });

  test('count bytes, and one command always fits', () => {
    const large = entry('a', 'x'.repeat(1_000));
    const queue = new CommandQueue<object>(10, 500);
    expect(queue.offer(large)).toBeUndefined();
    expect(queue.bytes).toBe(waitingBytes(large));
    expect(queue.offer(entry('a'))).toBe('queue-bytes');
    queue.finished(queue.take({}) as Waiting);
    expect(queue.bytes).toBe(0);
  });
});

/**
 * Lanes take, finish and are lost at random, against what must hold: each entry is finished once, a
 * user's in order and never in two lanes at a time, and nothing is forgotten.
 */
test('each user is in one lane at a time, in order, and nothing is lost', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('offer'), user: fc.nat(4) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('take'), lane: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('finish'), lane: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose'), lane: fc.nat(2) }) },
  ) as fc.Arbitrary<{ kind: string; user?: number; lane?: number }>;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const queue = new CommandQueue<Waiting[]>(1_000, 1_000_000);
      const lanes: Waiting[][] = [[], [], []];
      const offered: Waiting[] = [];
      const finished: Waiting[] = [];
      const take = (lane: Waiting[]): boolean => {
        const taken = queue.take(lane);
        if (taken === undefined) return false;
        for (const other of lanes) {
          if (other !== lane) expect(other.map(userOf)).not.toContain(userOf(taken));
        }
        lane.push(taken);
        return true;
      };
      const finish = (lane: Waiting[]): void => {
        const done = lane.shift();
        if (done === undefined) return;
        finished.push(done);
        queue.finished(done);
      };
      for (const { kind, user, lane = 0 } of steps) {
        const held = lanes[lane] as Waiting[];
        if (kind === 'offer') {
          const fresh = entry(`u${user}`);
          offered.push(fresh);
          expect(queue.offer(fresh)).toBeUndefined();
        } else if (kind === 'take') take(held);
        else if (kind === 'finish') finish(held);
        else {
          // Another stands in its place: what is lost never takes again.
          lanes[lane] = [];
          queue.giveBack(held, held);
        }
        expect(queue.size).toBe(offered.length - finished.length);
      }
      // Whoever is left serves all that is left.
      for (let idle = false; !idle; ) {
        idle = true;
        for (const lane of lanes) {
          while (take(lane)) idle = false;
          while (lane.length > 0) finish(lane);
        }
      }
      expect(queue.size).toBe(0);
      expect(queue.bytes).toBe(0);
      const byUser = (entries: readonly Waiting[]) => Object.groupBy(entries, userOf);
      expect(byUser(finished)).toEqual(byUser(offered));
    }),
    { seed },
  );
});

test("what plugins publish is kept in order by plugin, and is nobody's user", () => {
  const queue = new CommandQueue<object>(10, 1_000_000);
  const from = (clientIdentifier: string) => ({
    publisher: { user: '', clientIdentifier, device: false },
  });
  for (const plugin of ['a', 'a', 'b']) {
    const message = command('x', '', from(plugin));
    queue.offer({ ...entry(''), message });
  }
  const [first, second] = [{}, {}];
  expect(queue.take(first)?.message.publisher.clientIdentifier).toBe('a');
  expect(queue.take(second)?.message.publisher.clientIdentifier).toBe('b');
});

test('what waits can be cleared', () => {
  const queue = new CommandQueue<object>(10, 1_000_000);
  const lane = {};
  for (const user of ['a', 'b', 'a']) queue.offer(entry(user));
  queue.take(lane);
  expect(queue.clear().map(userOf)).toEqual(['b', 'a']);
  expect(queue.size).toBe(1);
});
