import { describe, expect, test } from 'bun:test';
import { CommandQueue } from '../../core/plugins/command-queue.ts';
import type { Taker } from '../../core/plugins/lane.ts';
import { Waiting } from '../../core/plugins/waiting.ts';
import { command } from './folder.ts';
import { entryOf, Hand, handlerState, quick, userOf } from './waiting.ts';

const namesOf = (entries: readonly (Waiting | undefined)[]): (string | undefined)[] =>
  entries.map((entry) => entry && `${userOf(entry)}:${entry.handler.name}`);

/** All that `taker` is given now. */
function takeAll(queue: CommandQueue, taker: Taker): Waiting[] {
  const taken: Waiting[] = [];
  for (let entry = queue.take(taker); entry; entry = queue.take(taker)) taken.push(entry);
  return taken;
}

describe('the bounds', () => {
  test('count what waits and what is given out, until it is finished', () => {
    const queue = new CommandQueue(2, 1_000_000);
    const handler = quick('h');
    queue.add(entryOf('a', handler));
    expect([queue.refusal(0), queue.roomy]).toEqual([undefined, false]);
    queue.add(entryOf('b', handler));
    const taken = queue.take(new Hand()) as Waiting;
    expect(queue.refusal(0)).toBe('queue-full');
    queue.finished(taken);
    expect(queue.refusal(0)).toBeUndefined();
    expect(queue.size).toBe(1);
  });

  test('count bytes, and one command always fits', () => {
    const large = entryOf('a', quick('h'), 'x'.repeat(1_000));
    const queue = new CommandQueue(10, 500);
    expect(queue.refusal(large.bytes)).toBeUndefined();
    queue.add(large);
    expect(queue.bytes).toBe(large.bytes);
    expect(queue.refusal(1)).toBe('queue-bytes');
    queue.finished(queue.take(new Hand()) as Waiting);
    expect(queue.bytes).toBe(0);
  });

  test('count what is to be tried again', () => {
    const queue = new CommandQueue(1, 1_000_000);
    const entry = entryOf('a', quick('h'));
    queue.add(entry);
    queue.take(new Hand());
    queue.postponed(entry);
    expect(queue.refusal(0)).toBe('queue-full');
  });
});

describe('a lane', () => {
  test('gives its next command to whoever has the one before, with the one that it has to wait for', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const handler = quick('h');
    const [first, second] = [new Hand(), new Hand()];
    for (const user of ['a', 'a']) queue.add(entryOf(user, handler));
    const one = queue.take(first) as Waiting;
    expect(queue.take(second)).toBeUndefined();
    const two = queue.take(first) as Waiting;
    expect([one.after, two.after]).toEqual([undefined, one]);
    queue.finished(two);
    queue.add(entryOf('a', handler));
    expect(queue.take(first)?.after).toBe(one);
  });

  test('gives no more while what it gave takes long', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const slow = handlerState('slow');
    const hand = new Hand();
    for (let count = 0; count < 3; count++) queue.add(entryOf('a', slow));
    queue.add(entryOf('b', slow));
    const taken = takeAll(queue, hand);
    expect(namesOf(taken)).toEqual(['a:slow', 'b:slow']);
    queue.finished(taken[0] as Waiting);
    expect(namesOf(takeAll(queue, new Hand()))).toEqual(['a:slow']);
  });

  test('of one user does not keep others waiting', () => {
    const queue = new CommandQueue(1_000, 1_000_000);
    const handler = quick('h');
    for (let count = 0; count < 50; count++) queue.add(entryOf('flood', handler));
    queue.add(entryOf('b', handler));
    const hand = new Hand();
    const taken = [queue.take(hand), queue.take(hand), queue.take(hand)];
    expect(namesOf(taken)).toContain('b:h');
  });

  test("is one for each plugin's own commands, and they are nobody's user", () => {
    const queue = new CommandQueue(10, 1_000_000);
    const handler = handlerState('h');
    for (const clientIdentifier of ['a', 'a', 'b']) {
      const publisher = { user: '', clientIdentifier, device: false };
      const message = command('x', '', { publisher });
      const receipt = { number: 0, outstanding: 1 };
      queue.add(new Waiting(message, receipt, handler, { invocation: '', trace: '' }, 0, 0, 0));
    }
    expect(queue.take(new Hand())?.message.publisher.clientIdentifier).toBe('a');
    expect(queue.take(new Hand())?.message.publisher.clientIdentifier).toBe('b');
    expect(queue.take(new Hand())).toBeUndefined();
  });
});

describe('concurrency', () => {
  test('bounds the runs of a handler over all takers, and lets others go on', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const [narrow, wide] = [quick('narrow', { concurrency: 1 }), quick('wide')];
    for (const user of ['a', 'b', 'c']) queue.add(entryOf(user, narrow));
    queue.add(entryOf('d', wide));
    const hand = new Hand();
    const taken = takeAll(queue, hand);
    expect(namesOf(taken)).toEqual(['a:narrow', 'd:wide']);
    expect(takeAll(queue, new Hand())).toEqual([]);
    queue.finished(taken[0] as Waiting);
    expect(namesOf(takeAll(queue, new Hand()))).toEqual(['b:narrow']);
  });
});

/** Whether the second waits for whoever has the first. */
function share(...topics: readonly [topic: string, user: string][]): boolean {
  const queue = new CommandQueue(10, 1_000_000);
  const handler = handlerState('h');
  handler.pace.durationMs = 1_000;
  for (const [topic, user] of topics) {
    const publisher = { user, clientIdentifier: 'x', device: user !== '' };
    const message = command(topic, '', { publisher });
    queue.add(
      new Waiting(
        message,
        { number: 0, outstanding: 1 },
        handler,
        { invocation: '', trace: '' },
        0,
        0,
        0,
      ),
    );
  }
  expect(queue.take(new Hand())).toBeDefined();
  return queue.take(new Hand()) === undefined;
}

describe('what the broker tells', () => {
  test('of a user’s devices is in order, and apart from the user’s commands', () => {
    expect(share(['$hook/connect', '1'], ['$hook/disconnect', '1'])).toBe(true);
    expect(share(['$hook/connect', '1'], ['$hook/connect', '2'])).toBe(false);
    expect(share(['ask', '1'], ['$hook/connect', '1'])).toBe(false);
  });

  test('of undelivered messages is in order for each topic, whoever published them', () => {
    const news = '$hook/undelivered/1_news';
    expect(share([news, ''], [news, 'staff'])).toBe(true);
    expect(share([news, ''], ['$hook/undelivered/2_news', ''])).toBe(false);
  });

  test('of time has each schedule wait for itself alone', () => {
    expect(share(['$hook/schedule/a', ''], ['$hook/schedule/b', ''])).toBe(false);
  });
});

describe('what is to be tried again', () => {
  test('is overtaken, and comes first when it is due', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const handler = quick('h');
    const [first, second, third] = [1, 2, 3].map((n) => entryOf('a', handler, String(n)));
    queue.add(first as Waiting);
    queue.add(second as Waiting);
    const hand = new Hand();
    expect(queue.take(hand)).toBe(first as Waiting);
    queue.postponed(first as Waiting);
    expect(queue.take(hand)).toBe(second as Waiting);
    queue.finished(second as Waiting);
    queue.add(third as Waiting);
    queue.due(first as Waiting);
    expect(takeAll(queue, hand)).toEqual([first as Waiting, third as Waiting]);
  });

  test('and is given up takes nothing of its user with it that came meanwhile', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const handler = quick('h');
    const [first, second, third] = [1, 2, 3].map((n) => entryOf('a', handler, String(n)));
    const hand = new Hand();
    queue.add(first as Waiting);
    queue.postponed(queue.take(hand) as Waiting);
    queue.add(second as Waiting);
    queue.finished(first as Waiting);
    queue.relist();
    expect(queue.take(hand)).toBe(second as Waiting);
    queue.add(third as Waiting);
    expect(queue.take(new Hand())).toBeUndefined();
  });

  test('of an ordered handler keeps back what its user has for that handler, and nothing else', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const [ordered, other] = [quick('ordered', { ordered: true }), quick('other')];
    const entries = [
      entryOf('a', ordered),
      entryOf('a', ordered),
      entryOf('a', other),
      entryOf('b', ordered),
    ];
    for (const entry of entries) queue.add(entry);
    const hand = new Hand();
    const [first] = entries as [Waiting];
    expect(namesOf(takeAll(queue, hand))).toEqual(['a:ordered', 'b:ordered']);
    queue.postponed(first);
    expect(namesOf(takeAll(queue, hand))).toEqual(['a:other']);
    queue.due(first);
    expect(takeAll(queue, hand)).toEqual([first]);
    queue.finished(first);
    expect(takeAll(queue, hand)).toEqual([entries[1] as Waiting]);
  });
});

describe('what is stored', () => {
  test('can be held back, with what comes behind it in its lane', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const handler = quick('h');
    const entries = [entryOf('a', handler, '', 1), entryOf('a', handler), entryOf('b', handler)];
    for (const entry of entries) queue.add(entry);
    queue.holdStored(true);
    expect(takeAll(queue, new Hand())).toEqual([entries[2] as Waiting]);
    queue.holdStored(false);
    expect(takeAll(queue, new Hand())).toEqual(entries.slice(0, 2));
  });
});

describe('removed handlers', () => {
  test('are served by retired takers that have them, and by no others', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const [going, staying] = [quick('going'), quick('staying')];
    const [old, fresh] = [new Hand(), new Hand()];
    for (const handler of [going, staying, going]) queue.add(entryOf('a', handler));
    const first = queue.take(old) as Waiting;
    going.leaving = true;
    old.retired = true;
    queue.relist();
    expect([queue.take(old), queue.take(fresh)]).toEqual([undefined, undefined]);
    queue.finished(first);
    const second = queue.take(fresh) as Waiting;
    expect(namesOf([second])).toEqual(['a:staying']);
    queue.finished(second);
    const lacking = Object.assign(new Hand(), { retired: true, has: () => false });
    expect([queue.take(fresh), queue.take(lacking)]).toEqual([undefined, undefined]);
    expect(namesOf([queue.take(old)])).toEqual(['a:going']);
  });

  test('that come back are not kept waiting by what was taken out', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const ordered = quick('ordered', { ordered: true });
    const [failed, kept, fresh] = [1, 2, 3].map((n) => entryOf('a', ordered, String(n)));
    queue.add(failed as Waiting);
    queue.add(kept as Waiting);
    const hand = new Hand();
    queue.postponed(queue.take(hand) as Waiting);
    queue.due(failed as Waiting);
    expect(queue.remove(() => true)).toEqual([failed as Waiting, kept as Waiting]);
    queue.add(fresh as Waiting);
    expect(queue.take(hand)).toBe(fresh as Waiting);
  });

  test('what waits can be taken out for good', () => {
    const queue = new CommandQueue(10, 1_000_000);
    const handler = quick('h');
    for (const user of ['a', 'b', 'a']) queue.add(entryOf(user, handler));
    const taken = queue.take(new Hand()) as Waiting;
    expect(queue.remove(() => true).map(userOf)).toEqual(['b', 'a']);
    expect([queue.size, handler.waiting, handler.running]).toEqual([1, 0, 1]);
    queue.finished(taken);
    expect([queue.size, queue.bytes, handler.running]).toEqual([0, 0, 0]);
  });
});
