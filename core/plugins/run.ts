/**
 * One run of a handler: decodes and validates the payload, gives the handler its context, and holds
 * what it sends until the pool may have it. Once the run is over, nothing that was left behind of it
 * can write or send any more.
 */
import type { Separator } from '../auth/user-topic.ts';
import type { MessageNumber } from '../broker/changes.ts';
import type { Message } from '../mqtt/packet.ts';
import { parseTopicName } from '../mqtt/topic.ts';
import type { Context, SendOptions } from './context.ts';
import type { Handler } from './definition.ts';
import { Route } from './exchange.ts';
import { describeThrown, type Fault, type FaultKind, fault, type Roots } from './fault.ts';
import { readInput } from './input.ts';
import type { Name } from './invocation.ts';
import type { Sent } from './mark.ts';
import { announcesCbor, PayloadProblem } from './payload.ts';
import { isPromise } from './promise.ts';
import type { Redactor } from './secrets.ts';
import { messageOf, type TopicRules, topicForUser, topicToPublish } from './sending.ts';
import { Speaker, type Speaking, speaking, type Voice } from './speaker.ts';
import { describeIssues, type Validation } from './standard-schema.ts';
import type { HandlerStore, StoreUse } from './store.ts';
import { childOf } from './trace.ts';

/** What one run may send; beyond it, `send` throws. */
const MOST_SENDS = 10_000;
const MOST_SENT_BYTES = 32 * 1024 * 1024;
/** What a run that has used up its time has for coming to an end by itself. */
const GRACE_MS = 200;

/** A handler as a worker holds it. */
export interface Source {
  readonly handler: Handler;
  readonly plugin: string;
  readonly name: string;
  /** Its file, from the plugins folder on. */
  readonly shown: string;
  readonly timeoutMs: number;
  readonly secrets: { readonly [name: string]: string };
  /** What its `setup` gave. */
  readonly resources: unknown;
  readonly habits: Habits;
}

/** What was learned of a handler by running it. */
export interface Habits {
  /** It writes what follows from what it read: it takes the right to write at its first use of the store. */
  locksFirst: boolean;
  /** It awaits things that take a while. */
  waits: boolean;
}

/** What the runs of a worker have in common. */
export interface Surroundings {
  readonly roots: Roots;
  readonly separator: Separator;
  readonly rules: TopicRules;
  readonly store: HandlerStore;
  readonly voice: Voice;
  readonly redactor: Redactor;
}

export interface Command {
  readonly source: Source;
  readonly message: Message;
  /** 0 where it is not stored. */
  readonly number: MessageNumber;
  readonly name: Name;
  readonly attempt: number;
}

export class Run implements Speaking {
  readonly command: Command;
  readonly use: StoreUse;
  /** What it sent, to be dropped where it fails. */
  readonly sends: Sent[] = [];
  timedOut = false;
  readonly #surroundings: Surroundings;
  /** Made when it is asked for: most handlers are over before they could look. */
  #abort: AbortController | undefined = undefined;
  #speaker: Speaker | undefined = undefined;
  #called: Context<unknown>['invocation'] | undefined = undefined;
  #over = false;
  #sentBytes = 0;
  #traceParent: { readonly value: string | undefined } | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #settle: ((fault: Fault | undefined) => void) | undefined = undefined;

  constructor(command: Command, use: StoreUse, surroundings: Surroundings) {
    this.command = command;
    this.use = use;
    this.#surroundings = surroundings;
  }

  /** Runs. What comes back, or what the promise resolves to, is what went wrong, undefined for nothing; it never throws or rejects. */
  start(): Promise<Fault | undefined> | Fault | undefined {
    return speaking.run(this, () => this.#begin());
  }

  /** Where the run has not ended by itself so far, has it end when its time is up. */
  limitTime(): void {
    this.#timer = setTimeout(() => {
      this.timedOut = true;
      this.#abort?.abort(this.#lateness());
      this.#timer = setTimeout(() => this.#end(this.#fail(this.#lateness())), GRACE_MS);
    }, this.command.source.timeoutMs);
  }

  get #invocation(): Context<unknown>['invocation'] {
    const { name, attempt } = this.command;
    this.#called ??= { id: name.invocation, attempt, trace: name.trace };
    return this.#called;
  }

  get speaker(): Speaker {
    const { source, name } = this.command;
    this.#speaker ??= new Speaker(this.#surroundings.voice, {
      handler: source.name,
      invocation: name.invocation,
      trace: name.trace,
    });
    return this.#speaker;
  }

  #begin(): Promise<Fault | undefined> | Fault | undefined {
    try {
      const { source, message } = this.command;
      const input = readInput(source.handler, message, this.#surroundings.separator);
      const schema = source.handler.input;
      const checked = schema?.['~standard'].validate(input) ?? { value: input };
      return isPromise(checked)
        ? this.#await(checked.then((validation) => this.#call(validation)))
        : this.#await(this.#call(checked));
    } catch (error) {
      return this.#fail(error);
    }
  }

  #call(validation: Validation<unknown>): unknown {
    if (validation.issues !== undefined) {
      throw new PayloadProblem(describeIssues(validation.issues));
    }
    return this.command.source.handler.run(this.#context(validation.value) as Context<never>);
  }

  #await(result: unknown): Promise<Fault | undefined> | Fault | undefined {
    if (!isPromise(result)) return this.#succeed(result);
    return new Promise((resolve) => {
      this.#settle = resolve;
      Promise.resolve(result).then(
        (value) => this.#end(this.#over ? undefined : this.#succeed(value)),
        (error) => this.#end(this.#over ? undefined : this.#fail(error)),
      );
    });
  }

  #end(why: Fault | undefined): void {
    clearTimeout(this.#timer);
    this.#settle?.(why);
    this.#settle = undefined;
  }

  #succeed(value: unknown): Fault | undefined {
    try {
      if (this.timedOut) throw this.#lateness();
      if (value !== undefined) this.#reply(value);
    } catch (error) {
      return this.#fail(error);
    }
    this.#over = true;
    return undefined;
  }

  #fail(error: unknown): Fault {
    this.#over = true;
    const { shown } = this.command.source;
    if (this.timedOut) return fault('timeout', this.#lateness().message, shown);
    const { redactor, roots } = this.#surroundings;
    if (error instanceof PayloadProblem) return fault('input', redactor.text(error.message), shown);
    const described = describeThrown(kindOf(error), error, roots);
    return redactor.fault({ ...described, at: described.at ?? shown });
  }

  #lateness(): DOMException {
    const { timeoutMs } = this.command.source;
    return new DOMException(`took longer than ${timeoutMs} ms`, 'TimeoutError');
  }

  /** To the Response Topic that the command names, else to the user under the handler's name for it. */
  #reply(value: unknown): void {
    const { source, message } = this.command;
    if (source.handler.rules.trigger.kind !== 'command') return;
    const { responseTopic, correlationData, contentType } = message.properties ?? {};
    const { user } = message.publisher;
    const { reply } = source.handler;
    if (responseTopic !== undefined) {
      const topic = parseTopicName(responseTopic);
      // Whether the requester may have it there is for the broker to say.
      if (topic === undefined) return;
      const options = announcesCbor(contentType) ? { contentType: 'application/cbor' } : {};
      this.#keep(Route.Reply, topic, value, options, correlationData);
    } else if (reply !== undefined && user !== '') {
      // Where a plugin published the command, there is no user to reply to.
      this.#send(user, reply, value);
    }
  }

  #context(input: unknown): Context<unknown> {
    const { source, message } = this.command;
    const run = this;
    return {
      input,
      topic: message.topic,
      payload: message.payload,
      user: { id: message.publisher.user },
      client: { id: message.publisher.clientIdentifier },
      get invocation() {
        return run.#invocation;
      },
      secrets: source.secrets,
      resources: source.resources as undefined,
      get signal() {
        run.#abort ??= new AbortController();
        if (run.timedOut) run.#abort.abort(run.#lateness());
        return run.#abort.signal;
      },
      get store() {
        return run.#surroundings.store.storeFor(run.use, () => run.#checkOpen());
      },
      get log() {
        return run.speaker.log;
      },
      send: (user, name, payload, options) => this.#send(user, name, payload, options),
      publish: (topic, payload, options = {}) =>
        this.#keep(Route.Publish, topicToPublish(topic), payload, options),
    };
  }

  #send(user: string, name: string, payload: unknown, options: SendOptions = {}): void {
    const topic = topicForUser(user, name, this.#surroundings.rules);
    this.#keep(Route.Send, topic, payload, options);
  }

  #keep(
    route: Route,
    topic: Message['topic'],
    payload: unknown,
    options: SendOptions,
    correlationData?: Uint8Array,
  ): void {
    this.#checkOpen();
    const { source, message: command, name } = this.command;
    this.#traceParent ??= { value: childOf(command, name) };
    const carried = { correlationData, traceParent: this.#traceParent.value };
    const message = messageOf(source.plugin, topic, payload, options, carried);
    this.#sentBytes += message.payload.length;
    if (this.sends.length === MOST_SENDS || this.#sentBytes > MOST_SENT_BYTES) {
      throw new Error(`one run sends ${MOST_SENDS} messages and ${MOST_SENT_BYTES} bytes at most`);
    }
    this.sends.push({ route, message });
  }

  #checkOpen(): void {
    if (this.#over) throw new Error('the run is over: await what must happen within it');
  }
}

/** Whether it is the store that failed, and not what the handler made of it. */
function kindOf(error: unknown): FaultKind {
  const code = (error as { code?: unknown } | undefined | null)?.code;
  const storage = /^SQLITE_(BUSY|FULL|IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|PROTOCOL)/;
  return typeof code === 'string' && storage.test(code) ? 'store' : 'failed';
}
