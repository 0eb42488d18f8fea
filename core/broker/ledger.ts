/**
 * What must last, numbered: each change that the core keeps has a position, and the ledger knows how
 * many are on disk. An acknowledgement that promises durability waits for the position that it had
 * when it was due (design section 5). Without storage nothing is kept, and nothing waits.
 */
import type { ReasonCode } from '../mqtt/reason-code.ts';
import type { Change, MessageNumber, Sequence, SessionNumber } from './changes.ts';
import type { Outbox } from './outbox.ts';
import type { Publication } from './publication.ts';

/** How many changes come before a moment; those are on disk where `stored` is as large. */
export type Position = number;

/** Why nothing can be stored now, as clients are told. */
export interface StorageFailure {
  readonly reasonCode: ReasonCode;
  readonly detail: string;
}

export class Ledger {
  /** Whether there is storage at all. */
  readonly enabled: boolean;
  readonly #outbox: Outbox;
  kept: Position = 0;
  stored: Position = 0;
  failure: StorageFailure | undefined = undefined;
  #lastSession: SessionNumber = 0;
  #lastMessage: MessageNumber = 0;
  #lastSequence: Sequence = 0;

  constructor(enabled: boolean, outbox: Outbox) {
    this.enabled = enabled;
    this.#outbox = outbox;
  }

  /** Goes on behind the numbers that a start found in use, and those that were given since. */
  resume(session: SessionNumber, message: MessageNumber, sequence: Sequence): void {
    this.#lastSession = Math.max(this.#lastSession, session);
    this.#lastMessage = Math.max(this.#lastMessage, message);
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
  }

  keep(change: Change): void {
    if (!this.enabled) return;
    this.kept++;
    this.#outbox.keep(change);
  }

  /** A number for a session that is to be stored; 0, which stands for none, without storage. */
  nextSession(): SessionNumber {
    return this.enabled ? ++this.#lastSession : 0;
  }

  /** The last one that was given. */
  get lastSequence(): Sequence {
    return this.#lastSequence;
  }

  nextSequence(): Sequence {
    return ++this.#lastSequence;
  }

  /** A number of the sequence that messages have theirs from. */
  nextMessage(): MessageNumber {
    return ++this.#lastMessage;
  }

  /** The number of `publication`, which is kept with its first reference and once. */
  numberOf(publication: Publication): MessageNumber {
    if (publication.number === 0) {
      publication.number = this.nextMessage();
      this.keep({ kind: 'message', message: publication.number, content: publication });
    }
    return publication.number;
  }
}
