/**
 * What becomes of a run once its worker has settled it: what it sent goes out and the broker hears that it
 * is done, or it is tried again, or given up. All of one run happens within one turn of the loop, so
 * that it is in one batch of the broker's file: wholly, or not at all.
 *
 * While nothing can be stored, runs of stored commands wait here: what they sent would be acknowledged to
 * nobody, and they would be run again after a crash.
 */
import type { Message } from '../mqtt/packet.ts';
import { parseTopicName, type TopicName } from '../mqtt/topic.ts';
import { owned } from './batch.ts';
import type { CommandQueue } from './command-queue.ts';
import type { PluginCounters, RunParty } from './events.ts';
import { Route } from './exchange.ts';
import type { Fault } from './fault.ts';
import type { Sent } from './mark.ts';
import type { Marks } from './marks.ts';
import type { PoolHost } from './pool-host.ts';
import type { Retries } from './retries.ts';
import type { Redactor } from './secrets.ts';
import type { Waiting } from './waiting.ts';

/** How a run ended. `expiresAtMs` of what it sent is in milliseconds since the epoch. */
export interface Ending {
  readonly entry: Waiting;
  readonly fault: Fault | undefined;
  /** Undefined where that is not known. */
  readonly durationMs: number | undefined;
  /** Whether it left a mark. */
  readonly wrote: boolean;
  readonly sends: readonly Sent[];
}

const encoder = new TextEncoder();

export class Conclusions {
  readonly #host: PoolHost;
  readonly #queue: CommandQueue;
  readonly #retries: Retries<Waiting>;
  readonly #marks: Marks;
  readonly #counters: PluginCounters;
  readonly #redactor: Redactor;
  #held: Ending[] = [];

  constructor(
    host: PoolHost,
    queue: CommandQueue,
    retries: Retries<Waiting>,
    marks: Marks,
    counters: PluginCounters,
    redactor: Redactor,
  ) {
    this.#host = host;
    this.#queue = queue;
    this.#retries = retries;
    this.#marks = marks;
    this.#counters = counters;
    this.#redactor = redactor;
  }

  /** Runs whose end waits for the storage. */
  get held(): readonly Ending[] {
    return this.#held;
  }

  /** A run is over. */
  take(ending: Ending): void {
    const stored = ending.entry.receipt.number !== 0;
    if (stored && (this.#held.length > 0 || this.#host.storageFails())) this.#held.push(ending);
    else this.#conclude(ending);
  }

  /** The storage works again. */
  storageBack(): void {
    for (const ending of this.#held.splice(0)) this.take(ending);
  }

  #conclude({ entry, fault, durationMs, wrote, sends }: Ending): void {
    const { counters } = entry.handler;
    if (durationMs !== undefined) {
      counters.runs++;
      counters.durationSeconds.observe(durationMs / 1_000);
    }
    if (fault !== undefined) return this.#fail(entry, fault, durationMs);
    for (const sent of sends) this.#send(entry, sent);
    this.#finish(entry, wrote);
    this.#host.report(new RunDone(entry, durationMs));
  }

  /** A run of an earlier start had been committed: only what it sent is still to be given out. */
  resume(entry: Waiting, sends: readonly Sent[]): void {
    for (const sent of sends) this.#send(entry, sent);
    this.#finish(entry, true);
  }

  /** The entry is over without a run. */
  drop(entry: Waiting): void {
    this.#finish(entry, false);
  }

  #fail(entry: Waiting, fault: Fault, durationMs: number | undefined): void {
    const { handler, receipt, message } = entry;
    const attempt = ++entry.attempts;
    handler.counters.failed[fault.kind]++;
    const lasting = receipt.number !== 0 || message.qos > 0;
    const run = partyOf(entry, attempt);
    if (lasting && fault.retry && attempt < handler.rules.attempts) {
      handler.counters.retries++;
      if (receipt.number !== 0) this.#host.tried(receipt.number, handler.name, attempt);
      const retryInMs = this.#retries.add(entry, handler.rules, attempt);
      this.#queue.postponed(entry);
      this.#host.report({ kind: 'run-failed', run, fault, durationMs, retryInMs, buried: false });
      return;
    }
    this.#answer(entry, fault);
    if (lasting) this.#bury(entry, fault);
    this.#finish(entry, false);
    this.#host.report({
      kind: 'run-failed',
      run,
      fault,
      durationMs,
      retryInMs: undefined,
      buried: lasting,
    });
  }

  #finish(entry: Waiting, marked: boolean): void {
    const { receipt, handler } = entry;
    const { number } = receipt;
    receipt.outstanding--;
    if (number !== 0) {
      const rest = receipt.outstanding > 0;
      const position = this.#host.handled(number, rest ? handler.name : undefined);
      if (marked) this.#marks.settled({ message: number, handler: handler.name }, position);
    }
    this.#queue.finished(entry);
  }

  #bury(entry: Waiting, { kind, detail, at, stack }: Fault): void {
    const { message: content, receipt, handler, attempts, name } = entry;
    handler.counters.deadLetters++;
    this.#host.buried({
      message: receipt.number,
      content,
      handler: handler.name,
      kind,
      detail,
      at,
      stack,
      attempts,
      invocation: name.invocation,
      diedAtMs: this.#host.now(),
    });
  }

  /** Tells the requester, where it asked for a response. What went wrong inside is not for everybody: only what was wrong with the input. */
  #answer(entry: Waiting, fault: Fault): void {
    const { message } = entry;
    const { responseTopic, correlationData } = message.properties ?? {};
    const topic = responseTopic === undefined ? undefined : parseTopicName(responseTopic);
    if (topic === undefined) return;
    const error = fault.kind === 'input' ? fault.detail : 'the command could not be carried out';
    this.#send(entry, {
      route: Route.Reply,
      message: {
        topic,
        payload: encoder.encode(JSON.stringify({ error })),
        qos: message.qos,
        retain: false,
        properties: {
          payloadFormatIndicator: 1,
          contentType: 'application/json',
          correlationData,
          userProperties: [['bellhop-error', fault.kind]],
        },
        expiresAtMs: message.expiresAtMs,
        publisher: { user: '', clientIdentifier: entry.handler.plugin, device: false },
        reach: 2,
      },
    });
  }

  /** Commits are over: nothing of this can be taken back, only refused. */
  #send(entry: Waiting, { route, message }: Sent): void {
    const detail =
      this.#refusal(entry, route, message.topic) ?? this.#host.sent(message, entry.message);
    if (detail === undefined) {
      this.#counters.sends++;
      return;
    }
    this.#counters.sendsRefused++;
    const run = partyOf(entry, entry.attempts + 1);
    const topic = this.#redactor.text(message.topic);
    this.#host.report({ kind: 'send-refused', run, topic, detail: this.#redactor.text(detail) });
  }

  #refusal({ message }: Waiting, route: Route, topic: TopicName): string | undefined {
    if (route === Route.Send && this.#host.declares(topic)) {
      return 'the topic is a declared command, and never a user topic';
    }
    if (route === Route.Reply && !this.#host.mayReply(message.publisher, topic)) {
      return 'whoever asked may not have a response there';
    }
    return undefined;
  }
}

/** Says whose run it was when somebody asks: there is one for each run, and most are only counted. */
class RunDone {
  readonly kind = 'run-done';
  readonly durationMs: number | undefined;
  readonly #entry: Waiting;

  constructor(entry: Waiting, durationMs: number | undefined) {
    this.#entry = entry;
    this.durationMs = durationMs;
  }

  get run(): RunParty {
    return partyOf(this.#entry, this.#entry.attempts + 1);
  }
}

/** A message as a worker sent it, made fit to be kept: it must not hold on to the whole batch. */
export function received(message: Message, nowMs: number): Message {
  return {
    ...message,
    payload: owned(message.payload),
    expiresAtMs: nowMs + message.expiresAtMs,
  };
}

export function partyOf({ message, handler, name }: Waiting, attempt: number): RunParty {
  const { topic, publisher } = message;
  const { user, clientIdentifier } = publisher;
  const { invocation, trace } = name;
  return { handler: handler.name, invocation, attempt, trace, topic, user, clientIdentifier };
}
