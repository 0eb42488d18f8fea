/**
 * The dead letters of the broker's file, bounded by count and bytes: the oldest go first, and how many
 * is told. They lie on disk alone; what is in memory is their tally.
 */
import type { MessageNumber } from '../broker/changes.ts';
import type { Unpacker } from './packed.ts';
import type { Statements } from './statements.ts';

export interface LetterBounds {
  readonly letters: number;
  /** Of their messages, stacks and texts, as `letterSize` in `batch.ts` has it. */
  readonly bytes: number;
}

/** As many as there is room for. */
export const unbounded: LetterBounds = {
  letters: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
};

export interface LetterTally {
  readonly letters: number;
  readonly bytes: number;
}

type Statement = 'addLetter' | 'dropLetter' | 'oldestLetters' | 'letters';

/** Rows that are looked at to find the oldest that go. */
const OLDEST_AT_ONCE = 64;

export class LetterBox {
  readonly #statements: Pick<Statements, Statement>;
  readonly #bounds: LetterBounds;
  /** What is committed. */
  #tally: LetterTally;
  /** With the batch under way. */
  #letters = 0;
  #bytes = 0;

  constructor(statements: Pick<Statements, Statement>, bounds: LetterBounds) {
    this.#statements = statements;
    this.#bounds = bounds;
    const [letters, bytes] = statements.letters.values()[0] as [number, number];
    this.#tally = { letters, bytes };
  }

  get tally(): LetterTally {
    return this.#tally;
  }

  /** A batch begins, as it does again after one that was rolled back. */
  begin(): void {
    this.#letters = this.#tally.letters;
    this.#bytes = this.#tally.bytes;
  }

  commit(): void {
    this.#tally = { letters: this.#letters, bytes: this.#bytes };
  }

  add(from: Unpacker): void {
    const number = from.number();
    const message = from.number();
    const size = from.size();
    this.#statements.addLetter.run(
      number,
      message,
      size,
      from.text(),
      from.number(),
      from.size(),
      from.text(),
      from.text(),
      from.text(),
      from.text(),
      from.text(),
    );
    this.#letters++;
    this.#bytes += size;
  }

  /** The messages that lost it; none where it was gone already. */
  drop(number: number): MessageNumber[] {
    return this.#statements.dropLetter.values(number).map((row) => {
      this.#letters--;
      this.#bytes -= row[1] as number;
      return row[0] as MessageNumber;
    });
  }

  /** Drops the oldest while there are too many; returns their messages. */
  trim(): MessageNumber[] {
    const dropped: MessageNumber[] = [];
    while (this.#tooMany()) {
      const oldest = this.#statements.oldestLetters.values(OLDEST_AT_ONCE);
      if (oldest.length === 0) break;
      for (const row of oldest) {
        if (!this.#tooMany()) break;
        dropped.push(...this.drop(row[0] as number));
      }
    }
    return dropped;
  }

  #tooMany(): boolean {
    return this.#letters > this.#bounds.letters || this.#bytes > this.#bounds.bytes;
  }
}
