/** What is kept in order among the commands that wait, and who takes from it. */
import { CONNECT_TOPIC, DISCONNECT_TOPIC } from '../broker/hooks.ts';
import type { Message } from '../mqtt/packet.ts';
import { Fifo } from './fifo.ts';
import type { HandlerState, Waiting } from './waiting.ts';

/** Who takes commands. */
export interface Taker {
  /** Whether it serves removed handlers alone. */
  readonly retired: boolean;
  /** Whether it is no more. */
  readonly lost: boolean;
  has(handler: string): boolean;
}

export interface Lane {
  readonly key: string;
  readonly waiting: Fifo<Waiting>;
  /** Who has `held` of it, while that is not 0. */
  taker: Taker | undefined;
  held: number;
  heldMs: number;
  /** The one of those that was given out last. */
  last: Waiting | undefined;
  /** The one of those that must be settled before more is given out. */
  closedBy: Waiting | undefined;
  /** Whether it stands in one of the lines. */
  listed: boolean;
  /** For each ordered handler that failed, what waits to be tried again, and what is kept behind it. */
  kept: Map<HandlerState, { readonly retrying: Waiting; readonly later: Waiting[] }> | undefined;
}

/** An empty one. */
export function newLane(key: string): Lane {
  return {
    key,
    waiting: new Fifo(),
    taker: undefined,
    held: 0,
    heldMs: 0,
    last: undefined,
    closedBy: undefined,
    listed: false,
    kept: undefined,
  };
}

/**
 * What is kept in order: the commands of one user; apart from them the user's connects and disconnects;
 * undelivered messages by their topic, and so by whom they were for; and the runs of one schedule.
 * Plugins have no user id; their commands are told apart by name.
 */
export function laneKeyOf({ topic, publisher }: Message): string {
  const { user, clientIdentifier } = publisher;
  const who = user === '' ? `\0${clientIdentifier}` : user;
  if (!topic.startsWith('$hook/')) return who;
  return topic === CONNECT_TOPIC || topic === DISCONNECT_TOPIC
    ? `\0presence\0${who}`
    : `\0${topic}`;
}
