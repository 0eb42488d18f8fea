/**
 * The plugins of the crash simulation: two handlers that fail, give up and are done at random, in
 * place of pool and workers. What they tell the broker is exactly what a pool tells it; a crash takes
 * all that they know, and what a start brings back is compared with what was told and is on disk.
 */
import type { Broker } from '../../core/broker/broker.ts';
import type {
  Change,
  CommandState,
  DeadLetter,
  LetterNumber,
  MessageNumber,
} from '../../core/broker/changes.ts';
import type { Millis } from '../../core/broker/outbox.ts';
import type { Message, QoS } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import type { FakeStorage } from '../store/fake-storage.ts';
import type { Random } from './random.ts';

export const COMMANDS = 'command/#';
export const handlers = ['a', 'folder/b#2'] as const;

interface Waiting {
  readonly message: Message;
  readonly number: MessageNumber;
  /** Handlers that are not done, and how often each has failed. */
  readonly open: Map<string, number>;
}

/** Something that is so from the moment on that so many changes are stored. */
interface Promised {
  readonly position: number;
  readonly kept: () => void;
}

export class CrashPlugins {
  readonly #random: Random;
  readonly #failures: string[];
  #storage: FakeStorage | undefined = undefined;
  #waiting: Waiting[] = [];
  #promised: Promised[] = [];
  /** By command and handler: the failures that were told, and those that are on disk. */
  readonly #told = new Map<string, number>();
  readonly #kept = new Map<string, number>();
  /** Commands, and parts of commands, whose end is on disk. */
  readonly #over = new Set<string>();
  readonly #only = new Map<MessageNumber, string | undefined>();
  /** By handler and payload: letters that are on disk and wanted, and those that were dropped. */
  readonly #letters = new Set<string>();
  readonly #dropped = new Set<string>();
  /** Letters that were dropped or replayed by this broker, on disk or not yet. */
  readonly #dealtWith = new Set<LetterNumber>();
  #restoring = false;
  #unstored = 0;
  /** By receiver, what came from which handler. */
  readonly #got = new Set<string>();
  /** For the report. */
  restored = 0;
  replays = 0;

  constructor(random: Random, failures: string[]) {
    this.#random = random;
    this.#failures = failures;
  }

  /** Before a broker starts on `storage`: what it is handed until `booted` is what was stored. */
  boot(storage: FakeStorage): void {
    this.#storage = storage;
    this.#waiting = [];
    this.#promised = [];
    this.#dealtWith.clear();
    this.#restoring = true;
    for (const { handler, content } of storage.disk.inOrderOfDeath()) {
      const key = `${handler} ${textOf(content)}`;
      this.#letters.add(key);
      this.#dropped.delete(key);
    }
  }

  booted(): void {
    this.#restoring = false;
  }

  handle(message: Message, number: MessageNumber, state: CommandState | undefined): void {
    if (this.#restoring) this.#compare(number, state);
    const names = handlers.filter((name) => state?.only === undefined || state.only === name);
    const open = new Map<string, number>();
    for (const name of names) {
      const part = state?.parts.find(({ handler }) => handler === name);
      if (!part?.done) open.set(name, part?.attempts ?? 0);
    }
    this.#waiting.push({ message, number, open });
  }

  /** A command is kept, and handed over once it is stored. Its number may be one that came to nothing in a crash. */
  kept(change: Change): void {
    if (change.kind !== 'command') return;
    this.#only.set(change.message, change.only);
    for (const handler of handlers) this.#told.delete(`${change.message} ${handler}`);
  }

  #compare(number: MessageNumber, state: CommandState | undefined): void {
    this.restored++;
    if (state?.only !== this.#only.get(number)) {
      this.#failures.push(`command ${number} came back for ${state?.only}`);
    }
    if (this.#over.has(String(number)))
      this.#failures.push(`command ${number} came back when done`);
    for (const handler of handlers) {
      const key = `${number} ${handler}`;
      const part = state?.parts.find((each) => each.handler === handler);
      const attempts = part?.attempts ?? 0;
      const [least, most] = [this.#kept.get(key) ?? 0, this.#told.get(key) ?? 0];
      if (attempts < least || attempts > most) {
        this.#failures.push(`${key} has ${attempts} attempts, not ${least} to ${most}`);
      }
      if (this.#over.has(key) && !part?.done) this.#failures.push(`${key} is to run again`);
    }
  }

  stored(count: number): void {
    for (const { position, kept } of this.#promised) if (position <= count) kept();
    this.#promised = this.#promised.filter(({ position }) => position > count);
  }

  /** What was kept so far comes to `kept` once it is stored. */
  #promise(kept: () => void): void {
    this.#promised.push({ position: this.#storage?.position ?? 0, kept });
  }

  /** Something comes of a command; `calmly` all of it. False where there is none. */
  work(broker: Broker, now: Millis, calmly = false): boolean {
    const index = this.#random.below(Math.max(1, this.#waiting.length));
    const waiting = this.#waiting[index];
    if (waiting === undefined) return false;
    const [handler, failed] = this.#random.pick([...waiting.open]);
    const kind = calmly ? 'done' : this.#random.weighted({ done: 4, fail: 3, bury: 2 });
    // What cannot be sent now waits, as it does in the pool.
    if (kind === 'done' && this.#storage?.failing) return false;
    if (kind === 'fail') {
      waiting.open.set(handler, failed + 1);
      this.#tried(broker, waiting.number, handler, failed + 1, now);
      return true;
    }
    // In one turn, and so in one batch: what it sent or its letter, and that it is done.
    if (kind === 'bury')
      this.#bury(broker, waiting.message, waiting.number, handler, failed + 1, now);
    else this.#send(broker, waiting.message, handler, now);
    waiting.open.delete(handler);
    const last = waiting.open.size === 0;
    if (last) this.#waiting.splice(index, 1);
    const { number } = waiting;
    const position = broker.handled(number, last ? undefined : handler, now);
    const { position: kept } = this.#storage as FakeStorage;
    if (position !== kept) this.#failures.push(`${position} is told as position ${kept}`);
    this.#promise(() => this.#over.add(last ? String(number) : `${number} ${handler}`));
    return true;
  }

  #tried(
    broker: Broker,
    number: MessageNumber,
    handler: string,
    attempts: number,
    now: Millis,
  ): void {
    const key = `${number} ${handler}`;
    this.#told.set(key, attempts);
    broker.tried(number, handler, attempts, now);
    this.#promise(() => this.#kept.set(key, attempts));
  }

  /** `number` is 0 where the command was not stored. */
  #bury(
    broker: Broker,
    message: Message,
    number: MessageNumber,
    handler: string,
    attempts: number,
    now: Millis,
  ): void {
    const letter: DeadLetter = {
      message: number,
      content: message,
      handler,
      kind: 'throw',
      detail: 'simulated',
      at: undefined,
      stack: undefined,
      attempts,
      invocation: `${number}-${handler}`,
      diedAtMs: now,
    };
    broker.buried(letter, now);
    const key = `${handler} ${textOf(message)}`;
    this.#promise(() => this.#letters.add(key));
  }

  #send(broker: Broker, message: Message, handler: string, now: Millis): void {
    const refusal = broker.sent(messageOf('out', 2, `${handler} ${textOf(message)}`), now);
    if (refusal !== undefined) this.#failures.push(`a send is refused: ${refusal}`);
  }

  /** A command of QoS 0 is given up: it had no number, and its letter keeps it all the same. */
  giveUpUnstored(broker: Broker, now: Millis): void {
    if (this.#storage?.failing) return;
    const message = messageOf('command/unstored', 0, `unstored ${++this.#unstored}`);
    this.#bury(broker, message, 0, this.#random.pick(handlers), 1, now);
  }

  /** Somebody looks at the disk, and replays or drops a letter that is there. */
  clear(broker: Broker, now: Millis): void {
    const letters = this.#storage?.disk.inOrderOfDeath() ?? [];
    if (letters.length === 0 || this.#storage?.failing) return;
    const { number, handler, content } = this.#random.pick(letters);
    if (this.#dealtWith.has(number)) return;
    this.#dealtWith.add(number);
    const key = `${handler} ${textOf(content)}`;
    this.#letters.delete(key);
    if (this.#random.chance(0.6)) {
      this.replays++;
      broker.enqueue(content, handler, now);
    } else {
      this.#dropped.add(key);
    }
    broker.letterDropped(number, now);
  }

  received(receiver: string, payload: string): void {
    const key = `${receiver} ${payload}`;
    if (this.#got.has(key)) this.#failures.push(`${receiver} got ${payload} twice`);
    this.#got.add(key);
  }

  /** After the last command: each that was acknowledged was carried out once, or is a letter, or was dropped. */
  check(acknowledged: ReadonlySet<number>, receivers: readonly string[]): void {
    const letters = new Set<string>();
    for (const { handler, content } of this.#storage?.disk.inOrderOfDeath() ?? []) {
      const key = `${handler} ${textOf(content)}`;
      if (letters.has(key)) this.#failures.push(`there are two letters of ${key}`);
      letters.add(key);
    }
    for (const key of this.#letters) {
      if (!letters.has(key) && !this.#dropped.has(key)) {
        this.#failures.push(`the letter of ${key} is lost`);
      }
    }
    for (const number of acknowledged) {
      for (const key of handlers.map((handler) => `${handler} ${number}`)) {
        for (const receiver of receivers) {
          const got = this.#got.has(`${receiver} ${key}`);
          if (got && letters.has(key)) this.#failures.push(`${key} is done and dead`);
          if (got || letters.has(key) || this.#dropped.has(key)) continue;
          this.#failures.push(`${receiver}: what ${key} sent is lost`);
        }
      }
    }
  }
}

function messageOf(topic: string, qos: QoS, text: string): Message {
  return {
    topic: topic as TopicName,
    payload: new TextEncoder().encode(text),
    qos,
    retain: false,
    properties: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
    publisher: { user: '', clientIdentifier: '', device: false },
    reach: 0,
  };
}

function textOf(message: Message): string {
  return new TextDecoder().decode(message.payload);
}
