/**
 * What a remote handler process keeps in a file of its own: dead letters, for which the broker has no
 * place, and the commands that come of replaying them. The broker's storage does it.
 */
import type {
  Change,
  CommandState,
  DeadLetter,
  MessageNumber,
  StoredCommand,
  StoredSchedule,
} from '../broker/changes.ts';
import type { Position } from '../broker/ledger.ts';
import type { Message } from '../mqtt/packet.ts';

/** What an earlier process kept. */
export interface Found {
  readonly commands: readonly StoredCommand[];
  readonly schedules: readonly StoredSchedule[];
  /** The largest number that it gave out. */
  readonly lastMessage: MessageNumber;
}

/** What of `Storage` it takes. */
export interface KeeperStorage {
  keep(change: Change): void;
  post(): void;
}

export class RemoteKeeper {
  readonly #storage: KeeperStorage;
  readonly #commands = new Set<MessageNumber>();
  readonly #schedules: Map<string, StoredSchedule>;
  #lastMessage: MessageNumber;
  #kept: Position = 0;
  /** What was kept up to this is on disk. */
  stored: Position = 0;
  #posting = false;

  constructor(storage: KeeperStorage, found: Found) {
    this.#storage = storage;
    this.#lastMessage = found.lastMessage;
    this.#schedules = new Map(found.schedules.map((each) => [each.handler, each]));
    for (const { message } of found.commands) this.#commands.add(message);
  }

  get kept(): Position {
    return this.#kept;
  }

  /** Whether a command is one of this process, and not the broker's. */
  has(number: MessageNumber): boolean {
    return this.#commands.has(number);
  }

  /** Keeps a command; returns its number and what is known of it. */
  enqueue(
    content: Message,
    only: string | undefined,
  ): { readonly number: MessageNumber; readonly state: CommandState } {
    const number = this.#keepMessage(content);
    this.#keep({ kind: 'command', message: number, only });
    this.#commands.add(number);
    return { number, state: { only, parts: [] } };
  }

  scheduleOf(handler: string): StoredSchedule | undefined {
    return this.#schedules.get(handler);
  }

  schedule(schedule: StoredSchedule): void {
    this.#schedules.set(schedule.handler, schedule);
    this.#keep({ kind: 'scheduled', ...schedule });
  }

  unschedule(handler: string): void {
    if (this.#schedules.delete(handler)) this.#keep({ kind: 'unscheduled', handler });
  }

  bury(letter: DeadLetter): void {
    const message = this.has(letter.message) ? letter.message : this.#keepMessage(letter.content);
    this.#keep({ kind: 'dead', number: ++this.#lastMessage, letter: { ...letter, message } });
  }

  tried(message: MessageNumber, handler: string, attempts: number): void {
    if (this.has(message)) this.#keep({ kind: 'command-tried', message, handler, attempts });
  }

  handled(message: MessageNumber, handler: string | undefined): void {
    if (!this.has(message)) return;
    if (handler !== undefined) return this.#keep({ kind: 'command-part-done', message, handler });
    this.#commands.delete(message);
    this.#keep({ kind: 'command-done', message });
  }

  #keepMessage(content: Message): MessageNumber {
    const message = ++this.#lastMessage;
    this.#keep({ kind: 'message', message, content });
    return message;
  }

  /** All that is kept in one turn goes into one batch. */
  #keep(change: Change): void {
    this.#kept++;
    this.#storage.keep(change);
    if (this.#posting) return;
    this.#posting = true;
    setImmediate(() => {
      this.#posting = false;
      this.#storage.post();
    });
  }
}
