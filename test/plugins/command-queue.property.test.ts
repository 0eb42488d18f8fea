import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { CommandQueue } from '../../core/plugins/command-queue.ts';
import type { HandlerState, Waiting } from '../../core/plugins/waiting.ts';
import { runs, seed } from '../seed.ts';
import { entryOf, Hand, handlerState, quick, userOf } from './waiting.ts';

/**
 * Takers take, finish, fail, retire and are lost at random, while handlers leave, come back, are gone and
 * change their rules, against what must hold: each entry is finished once, a user's are with one taker at
 * a time and each behind the one before it, no handler has more runs than it may, an ordered one is done
 * with in order, and nothing is forgotten.
 */
test('whatever happens, order and bounds hold, and nothing is lost', () => {
  const kinds = {
    add: 10,
    take: 10,
    finish: 6,
    fail: 5,
    due: 3,
    giveUp: 2,
    lose: 2,
    hold: 2,
    retire: 1,
    leave: 1,
    remove: 1,
  };
  type Kind = keyof typeof kinds;
  const step = fc.record({
    kind: fc.oneof(
      ...Object.entries(kinds).map(([kind, weight]) => ({
        weight,
        arbitrary: fc.constant(kind as Kind),
      })),
    ),
    user: fc.nat(3),
    which: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const queue = new CommandQueue(1_000, 1_000_000);
      const handlers = [
        quick('quick'),
        handlerState('slow'),
        quick('narrow', { concurrency: 2 }),
        quick('ordered', { ordered: true }),
      ];
      const hands = [new Hand(), new Hand(), new Hand()];
      const retired: Hand[] = [];
      const added: Waiting[] = [];
      const finished: Waiting[] = [];
      const failed: Waiting[] = [];
      const take = (hand: Hand): boolean => {
        const taken = queue.take(hand);
        if (taken === undefined) return false;
        const all = [...hands, ...retired];
        const ofUser = (each: Hand) => each.held.filter((held) => userOf(held) === userOf(taken));
        for (const other of all) if (other !== hand) expect(ofUser(other)).toEqual([]);
        expect(taken.after).toBe(ofUser(hand).at(-1));
        expect([finished.includes(taken), failed.includes(taken)]).toEqual([false, false]);
        const { handler } = taken;
        expect(handler.leaving).toBe(hand.retired);
        if (handler.rules.ordered) {
          const before = added.filter(
            (each) =>
              each.handler === handler &&
              userOf(each) === userOf(taken) &&
              each.sequence < taken.sequence,
          );
          for (const each of before) expect(finished).toContain(each);
        }
        hand.held.push(taken);
        const running = all.flatMap(({ held }) => held).filter((held) => held.handler === handler);
        expect(running.length).toBe(handler.running);
        expect(handler.running).toBeLessThanOrEqual(handler.limit);
        return true;
      };
      const finish = (hand: Hand): void => {
        const done = hand.held.shift();
        if (done === undefined) return;
        finished.push(done);
        queue.finished(done);
      };
      const fail = (entry: Waiting | undefined): void => {
        if (entry === undefined) return;
        failed.push(entry);
        queue.postponed(entry);
      };
      const takeFailed = (place: number): Waiting | undefined =>
        failed.splice(place % Math.max(1, failed.length), 1)[0];
      const due = (place: number): void => {
        const entry = takeFailed(place);
        if (entry !== undefined) queue.due(entry);
      };
      const run = (kind: Kind, user: number, which: number): void => {
        const handler = handlers[which] as HandlerState;
        const place = which % hands.length;
        const hand = user === 3 ? (retired.at(which) ?? hands[place]) : hands[place];
        switch (kind) {
          case 'add': {
            const fresh = entryOf(`u${user}`, handler, '', added.length % 2);
            added.push(fresh);
            return queue.add(fresh);
          }
          case 'take':
            return void take(hand as Hand);
          case 'finish':
            return finish(hand as Hand);
          case 'fail':
            return fail(hand?.held.shift());
          case 'due':
            return due(which);
          case 'giveUp': {
            const entry = takeFailed(which);
            if (entry === undefined) return;
            finished.push(entry);
            return queue.finished(entry);
          }
          case 'hold':
            return queue.holdStored(which % 2 === 0);
          case 'retire':
            // A new version: what waits is for others, what was given out is finished where it is.
            for (const each of hands) each.retired = true;
            retired.push(...hands.splice(0, 3, new Hand(), new Hand(), new Hand()));
            return queue.relist();
          case 'leave':
            handler.leaving = !handler.leaving;
            return queue.relist();
          case 'remove':
            finished.push(...queue.remove((entry) => entry.handler === handler));
            return;
          case 'lose': {
            // Another stands in its place. What it had begun fails, the rest is for others.
            const lost = hands.splice(place, 1, new Hand())[0] as Hand;
            lost.lost = true;
            const [begun, ...rest] = lost.held.splice(0);
            queue.giveBack(lost, rest);
            return fail(begun);
          }
          default:
            kind satisfies never;
        }
      };
      for (const { kind, user, which } of steps) {
        run(kind, user, which);
        expect(queue.size).toBe(added.length - finished.length);
      }
      queue.holdStored(false);
      for (const handler of handlers) handler.leaving = false;
      queue.relist();
      // Whoever is left serves all that is left.
      for (let idle = false; !idle; ) {
        idle = true;
        while (failed.length > 0) due(0);
        for (const hand of [...hands, ...retired]) {
          while (take(hand)) idle = false;
          for (; hand.held.length > 0; idle = false) finish(hand);
        }
      }
      expect([queue.size, queue.bytes]).toEqual([0, 0]);
      expect(finished.length).toBe(added.length);
      expect(new Set(finished)).toEqual(new Set(added));
      expect(handlers.map(({ waiting, running }) => waiting + running)).toEqual([0, 0, 0, 0]);
    }),
    { seed, numRuns: runs(300) },
  );
});
