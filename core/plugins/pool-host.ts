import type { DeadLetter, MessageNumber } from '../broker/changes.ts';
import type { Position } from '../broker/ledger.ts';
import type { Millis } from '../broker/outbox.ts';
import type { Message, Publisher } from '../mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import type { PluginEvent } from './events.ts';
import type { HookEvent } from './handler.ts';

/** What the pool needs of whoever brings the commands: the broker of this process, or a connection to one. */
export interface PoolHost {
  now(): Millis;
  /** Takes a message of a run for `cause`; tells why where it does not. */
  sent(message: Message, cause: Message): string | undefined;
  declares(topic: TopicName): boolean;
  /** Whether whoever published a command may have a response on the topic that it named. */
  mayReply(publisher: Publisher, topic: TopicName): boolean;
  /** Whether nothing can be stored now: what runs of stored commands sent waits until then. */
  storageFails(): boolean;
  /**
   * `handler`, or with undefined each of them, is done with a stored command. `Pool.stored` tells when
   * that lasts: as soon as it was given the position that this returns; 0 where nothing is kept.
   */
  handled(number: MessageNumber, handler: string | undefined): Position;
  /** It failed so many times, and will be tried again. */
  tried(number: MessageNumber, handler: string, attempts: number): void;
  /** It is given up. `handled` is told in the same turn. */
  buried(letter: DeadLetter): void;
  /** The commands that handlers name, and the hooks that they want, are these from now on. */
  serves(topics: readonly TopicFilter[], hooks: readonly HookEvent[]): void;
  /** A command from within. */
  enqueue(command: Message, only: string | undefined): void;
  /**
   * Reads stored commands behind `after` from disk, in order: at most `limit` of them and about so many
   * bytes, one whatever its size. `Pool.fetched` brings them. Undefined where there is no disk: then
   * the host itself bounds what it dispatches.
   */
  readonly fetch: ((after: MessageNumber, limit: number, bytes: number) => void) | undefined;
  report(event: PluginEvent): void;
}
