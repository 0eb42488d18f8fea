/**
 * One run of a handler: decodes and validates the payload, gives the handler its context, and holds
 * what it sends until the pool may have it. Once the run is over, nothing that was left behind of it
 * can write or send any more.
 */
import type { Message } from '../mqtt/packet.ts';
import type { Context, HandlerLog, LogFields, SendOptions } from './context.ts';
import type { Handler } from './definition.ts';
import type { LogLine } from './exchange.ts';
import { describeThrown, type Fault, fault } from './fault.ts';
import { decodePayload, PayloadProblem } from './payload.ts';
import { messageOf, type TopicRules, topicForUser, topicToPublish } from './sending.ts';
import { describeIssues, type Validation } from './standard-schema.ts';
import type { HandlerStore } from './store.ts';

/** What one run may send; beyond it, `send` throws. */
const MOST_SENDS = 10_000;
const MOST_SENT_BYTES = 32 * 1024 * 1024;
/** What one run may log; the rest is left out, and the last line says so. */
const MOST_LOG_LINES = 1_000;
const LONGEST_LOG_TEXT = 4_096;

/** A handler with where it comes from. */
export interface Source {
  readonly handler: Handler;
  readonly plugin: string;
  /** Its file, from the plugins folder on. */
  readonly shown: string;
}

/** What the runs of a worker have in common. */
export interface Surroundings {
  readonly root: string;
  readonly rules: TopicRules;
  readonly store: HandlerStore;
  readonly timeoutMs: number;
  readonly log: (line: LogLine) => void;
}

export interface Command {
  readonly source: Source;
  readonly message: Message;
  readonly invocation: string;
}

export class Run {
  readonly command: Command;
  /** What it sent, to be dropped where it fails. */
  readonly sends: Message[] = [];
  /** For each of `sends`, whether it went through `send`. */
  readonly toUser: boolean[] = [];
  readonly #surroundings: Surroundings;
  /** Made when it is asked for: most handlers are over before they could look. */
  #abort: AbortController | undefined = undefined;
  #timedOut = false;
  #over = false;
  #sentBytes = 0;
  #logLines = 0;

  constructor(command: Command, surroundings: Surroundings) {
    this.command = command;
    this.#surroundings = surroundings;
  }

  /** Runs. What comes back, or what the promise resolves to, is what went wrong, undefined for nothing; it never throws or rejects. */
  start(): Promise<Fault | undefined> | Fault | undefined {
    try {
      const { source, message } = this.command;
      const { decode, input } = source.handler;
      const decoded = decodePayload(message.payload, decode, message.properties?.contentType);
      const checked = input?.['~standard'].validate(decoded) ?? { value: decoded };
      return isPromise(checked)
        ? this.#finish(checked.then((validation) => this.#call(validation)))
        : this.#finish(this.#call(checked));
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

  #finish(result: unknown): Promise<Fault | undefined> | Fault | undefined {
    if (!isPromise(result)) return this.#succeed(result);
    return this.#inTime(result).then(
      (value) => this.#succeed(value),
      (error) => this.#fail(error),
    );
  }

  /** Tells the handler when its time is up. One that goes on all the same is ended with its worker, by the pool. */
  async #inTime(result: PromiseLike<unknown>): Promise<unknown> {
    const timer = setTimeout(() => {
      this.#timedOut = true;
      this.#abort?.abort(this.#lateness());
    }, this.#surroundings.timeoutMs);
    try {
      return await result;
    } finally {
      clearTimeout(timer);
    }
  }

  #succeed(value: unknown): Fault | undefined {
    try {
      if (this.#timedOut) throw this.#lateness();
      const { reply } = this.command.source.handler;
      const { user } = this.command.message.publisher;
      // Where a plugin published the command, there is no user to reply to.
      if (reply !== undefined && value !== undefined && user !== '') this.#send(user, reply, value);
    } catch (error) {
      return this.#fail(error);
    }
    this.#over = true;
    return undefined;
  }

  #fail(error: unknown): Fault {
    this.#over = true;
    const { shown } = this.command.source;
    if (this.#timedOut) return fault('timeout', this.#lateness().message, shown);
    if (error instanceof PayloadProblem) return fault('input', error.message, shown);
    const described = describeThrown('failed', error, this.#surroundings.root);
    return { ...described, at: described.at ?? shown };
  }

  #lateness(): DOMException {
    return new DOMException(`took longer than ${this.#surroundings.timeoutMs} ms`, 'TimeoutError');
  }

  #context(input: unknown): Context<unknown> {
    const { message, invocation } = this.command;
    const run = this;
    return {
      input,
      topic: message.topic,
      payload: message.payload,
      user: { id: message.publisher.user },
      client: { id: message.publisher.clientIdentifier },
      invocation: { id: invocation },
      get signal() {
        run.#abort ??= new AbortController();
        return run.#abort.signal;
      },
      get store() {
        return run.#surroundings.store.storeFor(run, () => run.#checkOpen());
      },
      get log() {
        return run.#log();
      },
      send: (user, name, payload, options) => this.#send(user, name, payload, options),
      publish: (topic, payload, options = {}) =>
        this.#keep(false, messageOf(this.#plugin, topicToPublish(topic), payload, options)),
    };
  }

  get #plugin(): string {
    return this.command.source.plugin;
  }

  #send(user: string, name: string, payload: unknown, options: SendOptions = {}): void {
    const topic = topicForUser(user, name, this.#surroundings.rules);
    this.#keep(true, messageOf(this.#plugin, topic, payload, options));
  }

  #keep(toUser: boolean, message: Message): void {
    this.#checkOpen();
    this.#sentBytes += message.payload.length;
    if (this.sends.length === MOST_SENDS || this.#sentBytes > MOST_SENT_BYTES) {
      throw new Error(`one run sends ${MOST_SENDS} messages and ${MOST_SENT_BYTES} bytes at most`);
    }
    this.sends.push(message);
    this.toUser.push(toUser);
  }

  #checkOpen(): void {
    if (this.#over) throw new Error('the run is over: await what must happen within it');
  }

  #log(): HandlerLog {
    const at = (level: LogLine['level']) => (message: string, fields?: LogFields) => {
      if (this.#logLines > MOST_LOG_LINES) return;
      const full = this.#logLines++ === MOST_LOG_LINES;
      this.#surroundings.log({
        kind: 'log',
        level,
        message: full ? 'further log lines of this run are left out' : shortened(String(message)),
        fields: full ? {} : readFields(fields),
        plugin: this.#plugin,
        invocation: this.command.invocation,
      });
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }
}

function readFields(fields: LogFields = {}): LogLine['fields'] {
  const read: { [name: string]: string | number | boolean } = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (typeof value === 'number' || typeof value === 'boolean') read[name] = value;
    else read[name] = shortened(typeof value === 'string' ? value : Bun.inspect(value));
  }
  return read;
}

function shortened(text: string): string {
  return text.length <= LONGEST_LOG_TEXT ? text : `${text.slice(0, LONGEST_LOG_TEXT)}…`;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | undefined | null)?.then === 'function';
}
