/** What every storage does: one suite for the file and for its double. */
import { afterEach, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Change } from '../../core/broker/changes.ts';
import { queuedSize } from '../../core/session/queue.ts';
import { runs, seed } from '../seed.ts';
import type { Bench } from './bench.ts';
import { command, content, dead, filter, message, queued, session, topic } from './changes.ts';
import { historyOf } from './history.ts';
import { Ledger } from './ledger.ts';

const done: Change = { kind: 'command-done', message: 1 };

function tried(message: number, handler: string, attempts: number): Change {
  return { kind: 'command-tried', message, handler, attempts };
}

const subscription = {
  filter,
  shareName: '',
  maximumQoS: 2,
  noLocal: true,
  retainAsPublished: true,
  identifier: 7,
  standing: 1,
  declares: true,
} as const;

/** For each kind of change: what came before it, and the change. */
const kinds: readonly (readonly [string, readonly Change[], Change])[] = [
  ['a session is new', [], session(1)],
  [
    'a session is attached',
    [session(1)],
    { ...session(1), expiresAtMs: Number.POSITIVE_INFINITY } as Change,
  ],
  [
    'a session ends, with all that belongs to it',
    [
      session(1),
      session(2),
      message(1),
      queued(1, 1, 1),
      queued(2, 2, 1),
      { kind: 'subscribed', session: 1, subscription },
      { kind: 'received', session: 1, packetIdentifier: 9 },
    ],
    { kind: 'session-ended', session: 1 },
  ],
  ['a session subscribes', [session(1)], { kind: 'subscribed', session: 1, subscription }],
  [
    'a subscription is replaced, one in a group beside it is not',
    [
      session(1),
      { kind: 'subscribed', session: 1, subscription },
      { kind: 'subscribed', session: 1, subscription: { ...subscription, shareName: 'g' } },
    ],
    { kind: 'subscribed', session: 1, subscription: { ...subscription, identifier: 8 } },
  ],
  [
    'a session unsubscribes',
    [session(1), { kind: 'subscribed', session: 1, subscription }],
    { kind: 'unsubscribed', session: 1, filter, shareName: '' },
  ],
  ['a delivery is queued', [session(1), message(1)], queued(1, 1, 1)],
  [
    'a delivery is queued that is in flight already',
    [session(1), message(1)],
    queued(1, 1, 1, { packetIdentifier: 65_535, qos: 2, subscriptionIdentifiers: [1, 2] }),
  ],
  [
    'a queued delivery is sent',
    [session(1), message(1), queued(1, 1, 1)],
    { kind: 'sent', session: 1, sequence: 1, packetIdentifier: 5 },
  ],
  [
    'a delivery in flight is released',
    [session(1), message(1), queued(1, 1, 1, { packetIdentifier: 5, qos: 2 })],
    { kind: 'released', session: 1, sequence: 1 },
  ],
  [
    'a delivery is done, another of the same message is not',
    [session(1), session(2), message(1), queued(1, 1, 1), queued(2, 2, 1)],
    { kind: 'done', session: 1, sequence: 1 },
  ],
  [
    'the oldest that waits is dropped, not one in flight',
    [
      session(1),
      message(1),
      queued(1, 1, 1, { packetIdentifier: 5 }),
      queued(1, 2, 1),
      queued(1, 3, 1),
    ],
    { kind: 'oldest-dropped', session: 1 },
  ],
  [
    'a QoS 2 message is received',
    [session(1)],
    { kind: 'received', session: 1, packetIdentifier: 65_535 },
  ],
  [
    'its identifier is free again',
    [session(1), { kind: 'received', session: 1, packetIdentifier: 65_535 }],
    { kind: 'freed', session: 1, packetIdentifier: 65_535 },
  ],
  [
    'a QoS 1 command is remembered',
    [session(1), { kind: 'recent-commands', session: 1, marks: Uint32Array.of(3, 1) }],
    { kind: 'recent-commands', session: 1, marks: Uint32Array.of(3, 1, 65_535, 0xffff_fffe) },
  ],
  ['a message is retained', [message(1)], { kind: 'retained', topic, message: 1 }],
  [
    'a retained message is replaced',
    [message(1), { kind: 'retained', topic, message: 1 }, message(2)],
    { kind: 'retained', topic, message: 2 },
  ],
  [
    'a retained message is cleared',
    [message(1), { kind: 'retained', topic, message: 1 }],
    { kind: 'cleared', topic },
  ],
  ['a Will is set', [session(1)], will(Number.POSITIVE_INFINITY)],
  ['a Will begins to wait', [session(1), will(Number.POSITIVE_INFINITY)], will(1_700_000_000_000)],
  ['a Will is gone', [session(1), will(1)], { kind: 'will-gone', session: 1 }],
  ['a command waits', [message(1)], command(1)],
  ['a command waits for one handler alone', [message(1)], command(1, 'contacts/accept')],
  [
    'a handler has tried a command',
    [message(1), command(1), tried(1, 'b', 1), tried(1, 'a', 7)],
    tried(1, 'b', 2),
  ],
  [
    'one handler of a command is done with it, and how often another has tried',
    [message(1), command(1, 'a'), tried(1, 'a', 3), tried(1, 'b', 1)],
    { kind: 'command-part-done', message: 1, handler: 'b' },
  ],
  [
    'a command is done, with what was known of its handlers, and one beside it is not',
    [message(1), command(1), tried(1, 'a', 1), message(2), command(2), tried(2, 'a', 1)],
    { kind: 'command-done', message: 1 },
  ],
  ['a handler gave up a command that others have', [message(1), command(1)], dead(2, 1)],
  [
    'a handler gave up a command that all others are done with',
    [message(1), command(1), dead(2, 1, { stack: undefined, at: undefined, detail: '' })],
    { kind: 'command-done', message: 1 },
  ],
  [
    'two handlers gave up a command, and one of the letters is dropped',
    [message(1), command(1), dead(2, 1), dead(3, 1, { handler: 'b' }), done],
    { kind: 'dead-dropped', number: 2 },
  ],
  [
    'a letter is dropped twice',
    [message(1), dead(2, 1), message(3), dead(4, 3), { kind: 'dead-dropped', number: 2 }],
    { kind: 'dead-dropped', number: 2 },
  ],
];

function will(dueAtMs: number): Change {
  const { payload, publisher } = content;
  return {
    kind: 'will',
    session: 1,
    will: {
      topic,
      payload,
      qos: 2,
      retain: true,
      messageExpirySeconds: 60,
      properties: {
        userProperties: [
          ['b', '1'],
          ['a', '2'],
          ['b', '3'],
        ],
      },
      publisher,
      delaySeconds: 5,
      dueAtMs,
      role: 'device',
      grants: { publish: ['a'], subscribe: ['b/#'], retain: false, share: true },
    },
  };
}

/** Turns as batches: a message stands in the turn of the change behind it. */
function turnsOf(changes: readonly Change[]): Change[][] {
  const turns: Change[][] = [[]];
  for (const change of changes) {
    turns.at(-1)?.push(change);
    if (change.kind !== 'message') turns.push([]);
  }
  return turns.filter((turn) => turn.length > 0);
}

/** A number that came to nothing on its way may be given out again; one that is in use never is. */
function expectFound(bench: Bench, ledger: Ledger): void {
  const { found } = bench;
  const wanted = ledger.snapshot();
  const { lastSession, lastMessage, lastSequence } = found;
  expect({ ...found, ...ledger.last }).toEqual(wanted);
  expect(bench.letters()).toEqual(ledger.inOrderOfDeath());
  const { sessions, messages, letters } = ledger;
  const sequences = [...sessions.values()].flatMap(({ deliveries }) => [...deliveries.keys()]);
  for (const [last, used, kept] of [
    [lastSession, [...sessions.keys()], ledger.last.lastSession],
    [lastMessage, [...messages.keys(), ...letters.keys()], ledger.last.lastMessage],
    [lastSequence, sequences, ledger.last.lastSequence],
  ] as const) {
    expect(last).toBeGreaterThanOrEqual(Math.max(0, ...used));
    expect(last).toBeLessThanOrEqual(kept);
  }
}

export function storageSuite(name: string, open: () => Promise<Bench>): void {
  describe(name, () => {
    let bench: Bench | undefined;
    afterEach(async () => {
      await bench?.dispose();
      bench = undefined;
    });

    for (const [what, before, change] of kinds) {
      for (const together of [true, false]) {
        const when = together ? 'in one batch with what came before' : 'in a batch of its own';
        test(`a restart finds that ${what}, ${when}`, async () => {
          bench = await open();
          const ledger = new Ledger();
          const all = [...before, change];
          for (const turn of together ? [all] : turnsOf(all)) {
            bench.keep(...turn);
            await bench.settle();
            for (const each of turn) ledger.apply(each);
            ledger.settle();
          }
          bench = await bench.restart();
          expectFound(bench, ledger);
          for (const number of [1, 2]) bench.fetch(number);
          await bench.settle();
          expect(bench.fetched).toEqual([1, 2].map((each) => ledger.fetch(each, 0, 1_000, 1e9)));
        });
      }
    }

    test('stored counts every change, those that came to nothing included', async () => {
      bench = await open();
      bench.keep(session(1));
      await bench.settle();
      expect(bench.told).toEqual([{ kind: 'stored', count: 1 }]);
      bench.keep(message(1), queued(1, 1, 1), { kind: 'done', session: 1, sequence: 1 });
      await bench.settle();
      expect(bench.stored).toBe(4);
      bench.keep({ kind: 'received', session: 1, packetIdentifier: 1 });
      bench.keep({ kind: 'freed', session: 1, packetIdentifier: 1 });
      await bench.settle();
      expect(bench.stored).toBe(6);
    });

    test('what is kept while a batch is under way goes into the next, without another post', async () => {
      bench = await open();
      bench.keep(session(1));
      bench.post();
      bench.keep(session(2));
      bench.post();
      await bench.until(() => bench?.stored === 2);
      expect(bench.told.map((told) => told.kind === 'stored' && told.count)).toEqual([1, 2]);
    });

    test('a fetch finds all that was kept before it, is told behind it, and in its turn', async () => {
      bench = await open();
      bench.keep(session(1), message(1), queued(1, 1, 1));
      bench.fetch(1);
      bench.post();
      bench.keep(message(2), queued(1, 2, 2));
      bench.fetch(1);
      bench.keep({ kind: 'done', session: 1, sequence: 1 });
      bench.fetch(1);
      await bench.settle();
      bench.fetch(1);
      await bench.settle();
      const order = bench.told.map((told) =>
        told.kind === 'fetched' ? told.found.deliveries.map((each) => each.sequence) : told.kind,
      );
      // The second and the third share a batch: both find it whole.
      expect(order).toEqual(['stored', [1], 'stored', [2], [2], [2]]);
    });

    test('a fetch gives as many as it may, one whatever its size, and says whether there are more', async () => {
      bench = await open();
      bench.keep(session(1), session(2), message(1, new Uint8Array(1_000)));
      const size = queuedSize({ ...content, payload: new Uint8Array(1_000) });
      for (let sequence = 1; sequence <= 5; sequence++) bench.keep(queued(1, sequence, 1));
      bench.keep(queued(2, 6, 1));
      bench.fetch(1, 0, 5, 1e9);
      bench.fetch(1, 0, 4, 1e9);
      bench.fetch(1, 2, 2, 1e9);
      bench.fetch(1, 0, 9, 2 * size);
      bench.fetch(1, 0, 9, 2 * size - 1);
      bench.fetch(1, 4, 9, 1);
      bench.fetch(1, 5, 9, 1e9);
      bench.fetch(3, 0, 9, 1e9);
      await bench.settle();
      const found = bench.fetched.map(({ deliveries, more }) => [
        deliveries.map(({ sequence }) => sequence),
        more,
      ]);
      expect(found).toEqual([
        [[1, 2, 3, 4, 5], false],
        [[1, 2, 3, 4], true],
        [[3, 4], true],
        [[1, 2], true],
        [[1], true],
        [[5], false],
        [[], false],
        [[], false],
      ]);
    });

    test('numbers are never given out twice, also when nothing has them any more', async () => {
      bench = await open();
      bench.keep(session(1), session(7), message(9), queued(7, 30, 9));
      await bench.settle();
      bench.keep({ kind: 'session-ended', session: 7 });
      await bench.settle();
      bench = await bench.restart();
      const { lastSession, lastMessage, lastSequence } = bench.found;
      expect([lastSession, lastMessage, lastSequence]).toEqual([7, 9, 30]);
    });

    test('a close stores what was kept and not posted', async () => {
      bench = await open();
      bench.keep(session(1));
      const closed = bench.storage.close();
      await bench.until(() => bench?.stored === 1);
      await closed;
      bench = await bench.restart();
      expect(bench.found.sessions.length).toBe(1);
    });

    test('whatever happened, a restart finds what the plain reading comes to', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat(0xffff), { minLength: 20, maxLength: 600, size: 'max' }),
          fc.infiniteStream(fc.nat(9)),
          async (numbers, dice) => {
            let current = await open();
            const ledger = new Ledger();
            for (const turn of historyOf(numbers)) {
              current.keep(...turn);
              current.post();
              for (const change of turn) ledger.apply(change);
              ledger.settle();
              const die = dice.next().value as number;
              if (die < 3) await current.settle();
              if (die === 0) {
                current = await current.restart();
                expectFound(current, ledger);
              }
            }
            await current.settle();
            const all = [...ledger.sessions.keys()];
            for (const each of all) current.fetch(each);
            await current.settle();
            expect(current.fetched).toEqual(all.map((each) => ledger.fetch(each, 0, 1_000, 1e9)));
            current = await current.restart();
            expectFound(current, ledger);
            await current.dispose();
          },
        ),
        { seed, numRuns: runs(8) },
      );
    }, 60_000);
  });
}
