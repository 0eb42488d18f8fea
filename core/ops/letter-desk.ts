/**
 * Replaying and dropping dead letters, with a broker that runs and without one. Either way a letter
 * goes and its command comes in one change, and what is answered as done is on disk.
 */
import type { DeadLetter, LetterNumber } from '../broker/changes.ts';
import type { Position } from '../broker/ledger.ts';
import type { LetterAction, LetterAnswer, LetterDesk, LetterSelection } from '../http/control.ts';
import type { Message } from '../mqtt/packet.ts';
import type { Turn } from '../net/turn.ts';
import { DeadLetters } from '../store/dead-letters.ts';
import { StorageRefused } from '../store/problem.ts';
import { openStorage } from '../store/storage.ts';
import type { BrokerStorage } from './broker-storage.ts';

/** Letters that are dealt with between two waits for the disk, and about how many bytes of them. */
const PIECE_LETTERS = 64;
const PIECE_BYTES = 1024 * 1024;

type Chosen =
  | { readonly kind: 'chosen'; readonly numbers: readonly LetterNumber[] }
  | Extract<LetterAnswer, { kind: 'refused' }>;

/** What is to be done with one letter, and the position that it is on disk at. */
type Deal = (letter: DeadLetter & { readonly number: LetterNumber }) => Position;

/**
 * The letters that are meant. Refused as a whole where one is not there, or is to be replayed and
 * `hasHandler` does not know its handler. One that found no handler at all is for whoever is there now.
 */
function choose(
  letters: DeadLetters,
  action: LetterAction,
  selection: LetterSelection,
  hasHandler: (name: string) => boolean,
): Chosen {
  const numbers = numbersOf(letters, selection);
  if (selection.kind === 'handler' && numbers.length === 0) {
    return refused(`there is no dead letter of ${JSON.stringify(selection.handler)}`);
  }
  const missing = numbers.filter((number) => letters.handlerOf(number) === undefined);
  if (missing.length > 0) return refused(`there is no dead letter ${listed(missing)}`);
  if (action === 'drop') return { kind: 'chosen', numbers };
  const handlers = new Set(numbers.map((number) => letters.handlerOf(number) ?? ''));
  const gone = [...handlers].filter((name) => name !== '' && !hasHandler(name));
  if (gone.length === 0) return { kind: 'chosen', numbers };
  return refused(
    `no plugin has the handler ${listed(gone)} now: put it back first, or drop what is left of it`,
  );
}

function numbersOf(letters: DeadLetters, selection: LetterSelection): readonly LetterNumber[] {
  switch (selection.kind) {
    case 'numbers':
      return [...new Set(selection.numbers)];
    case 'handler':
      return letters.numbers(selection.handler);
    case 'all':
      return letters.numbers(undefined);
    default:
      return selection satisfies never;
  }
}

/** A few of `items`, and how many more there are. */
function listed(items: readonly (string | number)[]): string {
  const shown = items.slice(0, 10).join(', ');
  return items.length > 10 ? `${shown} and ${items.length - 10} more` : shown;
}

function refused(detail: string): Extract<LetterAnswer, { kind: 'refused' }> {
  return { kind: 'refused', detail };
}

/** Deals with `numbers` piece by piece, each once the one before it is on disk; returns how many there were. */
async function dealWith(
  folder: string,
  numbers: readonly LetterNumber[],
  deal: Deal,
  settled: (position: Position) => Promise<void>,
): Promise<number> {
  let done = 0;
  for (let from = 0; from < numbers.length; ) {
    const position = DeadLetters.read(folder, (letters) => {
      let last = 0;
      let bytes = 0;
      for (const end = from + PIECE_LETTERS; from < Math.min(end, numbers.length); from++) {
        // It may have gone meanwhile, because there were too many.
        const letter = letters.get(numbers[from] as LetterNumber);
        if (letter === undefined) continue;
        last = deal(letter);
        done++;
        bytes += letter.content.payload.length;
        if (bytes > PIECE_BYTES) {
          from++;
          break;
        }
      }
      return last;
    });
    await settled(position);
  }
  return done;
}

/** The command that a letter comes back as. Whoever replays it wants it carried out, however old it is. */
function commandOf({ content }: DeadLetter): Message {
  return { ...content, expiresAtMs: Number.POSITIVE_INFINITY };
}

class Failing extends Error {}

/** The desk of a broker that runs. One request at a time: the next finds on disk what came of the last. */
export function brokerDesk(
  folder: string,
  turn: Turn,
  stored: BrokerStorage,
  hasHandler: (name: string) => boolean,
): LetterDesk {
  let reached: Position = 0;
  /** Where the last that was asked for is on disk. */
  let asked: Position = 0;
  let waiting: { readonly position: Position; resolve(): void; reject(error: Error): void }[] = [];
  stored.listen({
    stored(count) {
      reached = count;
      for (const { position, resolve } of waiting) if (position <= count) resolve();
      waiting = waiting.filter(({ position }) => position > count);
    },
    storageFailed(problem) {
      for (const { reject } of waiting.splice(0)) reject(new Failing(problem));
    },
  });
  const settled = (position: Position): Promise<void> => {
    if (position <= reached) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.push({ position, resolve, reject });
    return promise;
  };
  const act = async (action: LetterAction, selection: LetterSelection): Promise<LetterAnswer> => {
    const problem = stored.problem();
    if (problem !== undefined) return { kind: 'failing', detail: problem };
    // The disk may be back and not know yet what it failed under: those letters would be found once more.
    await settled(asked);
    const chosen = DeadLetters.read(folder, (letters) =>
      choose(letters, action, selection, hasHandler),
    );
    if (chosen.kind === 'refused') return chosen;
    const deal: Deal = (letter) => {
      asked =
        action === 'drop'
          ? turn.inside.letterDropped(letter.number)
          : turn.inside.replayed(letter.number, commandOf(letter), letter.handler || undefined);
      return asked;
    };
    const count = await dealWith(folder, chosen.numbers, deal, (position) =>
      settled(position).catch(comesLater),
    );
    return { kind: 'done', count };
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    act(action, selection) {
      const answer = last.then(() => act(action, selection)).catch(failingOf);
      last = answer.catch(() => {});
      return answer;
    },
  };
}

function comesLater({ message }: Error): never {
  throw new Failing(`${message}; what was asked for is carried out once it can be stored`);
}

function failingOf(error: unknown): LetterAnswer {
  if (error instanceof Failing) return { kind: 'failing', detail: error.message };
  if (error instanceof StorageRefused) return refused(error.message);
  throw error;
}

/** The desk of a broker that keeps nothing. */
export const memoryDesk: LetterDesk = {
  act: () =>
    Promise.resolve(
      refused(
        'with DURABILITY=memory the broker keeps no dead letters; stop it to deal with older ones in its DATA_DIR',
      ),
    ),
};

/**
 * Changes the file of `folder` while no broker has it. Which handlers there will be nobody knows; a
 * command whose handler is gone becomes a dead letter again at the next start. Throws a
 * `StorageRefused`.
 */
export async function actOnFile(
  folder: string,
  action: LetterAction,
  selection: LetterSelection,
): Promise<LetterAnswer> {
  DeadLetters.read(folder, (letters) => letters.count()); // fails where there is no file to begin with
  let reached: Position = 0;
  let settle = (): void => {};
  let fail = (_reason: string): void => {};
  const { storage, snapshot } = await openStorage({
    folder,
    durability: 'fsync',
    stored(count) {
      reached = count;
      settle();
    },
    fetched() {},
    status: (status) => status.ok || fail(status.reason),
    fault: (detail) => fail(detail),
  });
  try {
    const chosen = DeadLetters.read(folder, (letters) =>
      choose(letters, action, selection, () => true),
    );
    if (chosen.kind === 'refused') return chosen;
    let kept: Position = 0;
    let { lastMessage } = firstOf(snapshot);
    const deal: Deal = (letter) => {
      if (action === 'replay') {
        const message = ++lastMessage;
        storage.keep({ kind: 'message', message, content: commandOf(letter) });
        storage.keep({ kind: 'command', message, only: letter.handler || undefined });
        kept += 2;
      }
      storage.keep({ kind: 'dead-dropped', number: letter.number });
      return ++kept;
    };
    const settled = async (position: Position): Promise<void> => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      settle = () => reached >= position && resolve();
      fail = (reason) => reject(new StorageRefused(`${folder}: ${reason}`));
      settle();
      storage.post();
      await promise;
    };
    return { kind: 'done', count: await dealWith(folder, chosen.numbers, deal, settled) };
  } finally {
    await storage.close();
  }
}

function firstOf<T>(pieces: Iterable<T>): T {
  for (const piece of pieces) return piece;
  throw new Error('there is one piece at least');
}
