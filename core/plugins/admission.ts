/**
 * How a command comes in: to each handler that is to run it, as far as there is room, and to the dead
 * letters where there is none for it.
 */
import type { CommandState, MessageNumber } from '../broker/changes.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';
import type { Catalogue } from './catalogue.ts';
import type { CommandQueue } from './command-queue.ts';
import type { Conclusions } from './conclusion.ts';
import type { HandlerRules } from './definition.ts';
import { type CommandDropReason, newHandlerCounters } from './events.ts';
import type { HandlerStates } from './handler-states.ts';
import { Names } from './invocation.ts';
import type { Marks } from './marks.ts';
import type { PoolHost } from './pool-host.ts';
import { HandlerState, type Receipt, Waiting } from './waiting.ts';

export interface AdmissionParts {
  readonly host: PoolHost;
  readonly handlers: HandlerStates;
  readonly queue: CommandQueue;
  readonly marks: Marks;
  readonly conclusions: Conclusions;
  readonly drop: (reason: CommandDropReason, message: Message) => void;
}

/** A handler of which nothing is left but its name. */
function goneHandler(name: string): HandlerState {
  const rules: HandlerRules = {
    trigger: { kind: 'command', topics: [] },
    timeoutMs: undefined,
    concurrency: 0,
    ordered: false,
    attempts: 1,
    firstDelayMs: 0,
    longestDelayMs: 0,
  };
  return new HandlerState(name, '', rules, newHandlerCounters());
}

const nobody: readonly string[] = [];
const none: ReturnType<Marks['takeBut']> = [];

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #names = new Names();
  #catalogue: Catalogue | undefined = undefined;
  /** The topic that came last, and whose it is: most often the next one is the same. */
  #topic: TopicName | undefined = undefined;
  #ofTopic: readonly HandlerState[] = [];
  #sequence = 0;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** The handlers are those of `catalogue` from now on. */
  become(catalogue: Catalogue): void {
    this.#catalogue = catalogue;
    this.#topic = undefined;
  }

  /** Takes a command in, whether there is room or not where it is stored. */
  take(message: Message, number: MessageNumber, state: CommandState | undefined): void {
    const { queue, marks, conclusions, drop } = this.#parts;
    const matching = this.#matching(message.topic, state?.only);
    const done = state === undefined ? nobody : handlersDone(state);
    const handlers =
      done.length === 0 ? matching : matching.filter(({ name }) => !done.includes(name));
    // What was done by handlers that are not there any more has happened all the same.
    const gone = marks.found(number)
      ? marks.takeBut(number, [...done, ...matching.map(nameOf)])
      : none;
    const outstanding = handlers.length + gone.length;
    if (outstanding === 0) return this.#unwanted(message, number, state, matching.length > 0);
    const receipt: Receipt = { number, outstanding };
    const nowMs = performance.now();
    for (const [name, sends] of gone) {
      conclusions.resume(this.#entryFor(message, receipt, goneHandler(name), 0, nowMs), sends);
    }
    for (const handler of handlers) {
      const tried = state?.parts.find((part) => part.handler === handler.name)?.attempts ?? 0;
      const entry = this.#entryFor(message, receipt, handler, tried, nowMs);
      const reason = number === 0 ? queue.refusal(entry.bytes) : undefined;
      if (reason !== undefined) {
        drop(reason, message);
        continue;
      }
      const sends = number === 0 ? undefined : marks.take(number, handler.name);
      if (sends === undefined) queue.add(entry);
      else conclusions.resume(entry, sends);
    }
  }

  #matching(topic: TopicName, only: string | undefined): readonly HandlerState[] {
    const catalogue = this.#catalogue;
    if (catalogue === undefined) return [];
    if (only === undefined || only === '') {
      if (topic !== this.#topic) {
        this.#ofTopic = this.#parts.handlers.of(catalogue.matching(topic));
        this.#topic = topic;
      }
      return this.#ofTopic;
    }
    const handler = catalogue.named(only);
    return handler === undefined ? [] : this.#parts.handlers.of([handler]);
  }

  #entryFor(
    message: Message,
    receipt: Receipt,
    handler: HandlerState,
    attempts: number,
    nowMs: number,
  ): Waiting {
    const sequence = ++this.#sequence;
    const name = this.#names.nameOf(message, receipt.number, handler.name, sequence);
    return new Waiting(message, receipt, handler, name, sequence, attempts, nowMs);
  }

  /** Nobody is left for a command: all are done with it, or its plugin is gone. */
  #unwanted(
    message: Message,
    number: MessageNumber,
    state: CommandState | undefined,
    isDone: boolean,
  ): void {
    const { host, drop } = this.#parts;
    if (isDone) {
      host.handled(number, undefined);
      return;
    }
    drop('no-handler', message);
    if (number === 0 && message.qos === 0) return;
    const detail = `no handler is there for ${message.topic}`;
    const part = state?.parts.find(({ done }) => !done);
    const handler = state?.only || part?.handler || '';
    host.buried({
      message: number,
      content: message,
      handler,
      kind: 'no-handler',
      detail,
      at: undefined,
      stack: undefined,
      attempts: part?.attempts ?? 0,
      invocation: this.#names.nameOf(message, number, handler, ++this.#sequence).invocation,
      diedAtMs: host.now(),
    });
    if (number !== 0) host.handled(number, undefined);
  }
}

function nameOf({ name }: HandlerState): string {
  return name;
}

function handlersDone({ parts }: CommandState): readonly string[] {
  return parts.filter((part) => part.done).map((part) => part.handler);
}
