/** A command on its way to one handler, and what is known of the handler. */
import type { MessageNumber } from '../broker/changes.ts';
import type { Message } from '../mqtt/packet.ts';
import type { HandlerRules } from './definition.ts';
import type { HandlerCounters } from './events.ts';
import { Fifo } from './fifo.ts';
import type { Name } from './invocation.ts';
import type { Lane } from './lane.ts';

/** What the broker is told once every handler of a command is done with it. */
export interface Receipt {
  /** 0 where the command is not stored. */
  readonly number: MessageNumber;
  /** Handlers that are not done. */
  outstanding: number;
}

/** How long a run of a handler usually takes. */
export interface Pace {
  /** Until it is over. */
  durationMs: number;
  /** Until it first awaits something: so long it has the thread for itself. */
  startMs: number;
}

/** A handler that is not known yet is given alone. */
const UNKNOWN_MS = 10;
const LEAST_MS = 0.02;

/** A handler as the queue and the pool see it, the same from one version of its plugin to the next. */
export class HandlerState {
  readonly name: string;
  readonly counters: HandlerCounters;
  plugin: string;
  rules: HandlerRules;
  /** Most runs that may be given out at a time. */
  limit = Number.POSITIVE_INFINITY;
  /** Whether it was removed, and only workers of an earlier version have it. */
  leaving = false;
  /** Whether nobody has it any more. */
  gone = false;
  /** Runs that are given out. */
  running = 0;
  /** Commands that wait for it, those that are to be tried again included. */
  waiting = 0;
  readonly pace: Pace = { durationMs: UNKNOWN_MS, startMs: UNKNOWN_MS };
  /** Lanes whose next command is for it and has to wait until fewer runs are given out. */
  readonly parked = new Fifo<Lane>();

  constructor(name: string, plugin: string, rules: HandlerRules, counters: HandlerCounters) {
    this.name = name;
    this.plugin = plugin;
    this.rules = rules;
    this.counters = counters;
  }

  /** Whether a command waits for it, is under way, or is to be tried again. */
  get busy(): boolean {
    return this.running + this.waiting > 0;
  }

  learn(durationMs: number, startMs: number): void {
    const { pace } = this;
    pace.durationMs = Math.max(LEAST_MS, pace.durationMs * 0.8 + durationMs * 0.2);
    pace.startMs = Math.max(LEAST_MS, pace.startMs * 0.8 + startMs * 0.2);
  }
}

export class Waiting {
  readonly message: Message;
  readonly receipt: Receipt;
  readonly handler: HandlerState;
  /** The same for each attempt, also after a restart where the command is stored. */
  readonly name: Name;
  /** Order of arrival. */
  readonly sequence: number;
  /** For the bound of the queue. */
  readonly bytes: number;
  /** Since when it waits, on the clock of `performance.now`. */
  sinceMs: number;
  /** Runs of it that have failed. */
  attempts: number;
  /** Where it waits, or came from. */
  lane: Lane | undefined = undefined;
  /** Of the same lane, the one that must be over before it begins. */
  after: Waiting | undefined = undefined;
  /** Whether somebody has taken it. */
  given = false;
  /** What it was expected to take when it was given out. */
  expectedMs = 0;
  /** What it is called in the worker that has it; -1 while none has. */
  slot = -1;

  constructor(
    message: Message,
    receipt: Receipt,
    handler: HandlerState,
    name: Name,
    sequence: number,
    attempts: number,
    nowMs: number,
  ) {
    this.message = message;
    this.receipt = receipt;
    this.handler = handler;
    this.name = name;
    this.sequence = sequence;
    this.bytes = ENTRY_BYTES + message.topic.length + message.payload.length;
    this.attempts = attempts;
    this.sinceMs = nowMs;
  }
}

/** What an entry costs beside its topic and payload, in bytes: an estimate for the limit. */
const ENTRY_BYTES = 320;
