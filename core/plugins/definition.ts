/**
 * A handler as the runtime holds it, and the checks that a definition passes on its way. They run
 * inside `defineHandler`, so that the error carries the file and line of the plugin.
 *
 * What is marked `@internal` is left out of the types that plugin authors get (scripts/sdk-types.ts).
 */
import { parseTopicFilter, type TopicFilter } from '../mqtt/topic.ts';
import type { Context, Decode, SetupContext } from './context.ts';
import type { HookEvent } from './handler.ts';
import type { StandardSchema } from './standard-schema.ts';

/** Registered, so that it is the same in each copy of the SDK that a process may hold. */
const brand: unique symbol = Symbol.for('bellhop.handler') as never;

/** What has a handler run. */
export type Trigger =
  | { readonly kind: 'command'; readonly topics: readonly TopicFilter[] }
  | { readonly kind: 'hook'; readonly events: readonly HookEvent[] }
  | ScheduleTrigger;

export interface ScheduleTrigger {
  readonly kind: 'schedule';
  readonly cron: string;
  readonly timeZone: string;
  readonly missed: 'once' | 'skip';
}

/** What the pool has to know of a handler, as plain data. */
export interface HandlerRules {
  readonly trigger: Trigger;
  /** Undefined where the setting decides. */
  readonly timeoutMs: number | undefined;
  /** Most runs at a time; Infinity where nothing was said. */
  readonly concurrency: number;
  /** Whether a command that waits to be tried again holds back the later ones of its user. */
  readonly ordered: boolean;
  /** How often a command is tried in all. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
}

/** What `defineHandler` returns; a plugin's default export. */
export interface Handler {
  readonly [brand]: true;
  /** @internal */
  readonly rules: HandlerRules;
  /** @internal */
  readonly decode: Decode | undefined;
  /** @internal */
  readonly input: StandardSchema | undefined;
  /**
   * The name under which what `run` returns is sent to the user whose command it was.
   * @internal
   */
  readonly reply: string | undefined;
  /** @internal */
  readonly secrets: readonly string[];
  /** @internal */
  readonly setup: ((context: SetupContext) => unknown) | undefined;
  /** @internal */
  readonly teardown: ((resources: never) => unknown) | undefined;
  /** @internal */
  readonly run: (context: Context<never>) => unknown;
}

const common = [
  'run',
  'timeoutMs',
  'concurrency',
  'order',
  'retry',
  'secrets',
  'setup',
  'teardown',
];
const ofCommands = ['topic', 'topics', 'decode', 'input', 'reply'];
const known = [...ofCommands, 'schedule', 'on', ...common];
const decodes: readonly unknown[] = ['json', 'cbor', 'text', 'bytes'] satisfies Decode[];
const hooks: readonly unknown[] = ['connect', 'disconnect', 'undelivered'] satisfies HookEvent[];

export function isHandler(value: unknown): value is Handler {
  return typeof value === 'object' && value !== null && brand in value;
}

interface Written {
  readonly [name: string]: unknown;
}

/** Reads what a plugin wrote. Throws a `TypeError` that says what is wrong with it. */
export function readDefinition(written: unknown): Handler {
  if (!isObject(written)) {
    throw new TypeError('a handler is defined by an object with `topic` and `run`');
  }
  const stray = Object.keys(written).find((name) => !known.includes(name));
  if (stray !== undefined) {
    throw new TypeError(`a handler has no property \`${stray}\`, only ${known.join(', ')}`);
  }
  const trigger = readTrigger(written);
  const { decode, input, reply, run, setup, teardown } = written;
  if (!isFunction(run)) throw new TypeError('a handler needs a function `run`');
  if (decode !== undefined && !decodes.includes(decode)) {
    throw new TypeError(`\`decode\` must be one of ${decodes.join(', ')}`);
  }
  if (input !== undefined && !isSchema(input)) {
    throw new TypeError('`input` must be a Standard Schema, such as those of Valibot and Zod');
  }
  if (reply !== undefined && (typeof reply !== 'string' || reply === '')) {
    throw new TypeError('`reply` must be the name of a user topic');
  }
  if (setup !== undefined && !isFunction(setup)) throw new TypeError('`setup` must be a function');
  if (teardown !== undefined && !isFunction(teardown)) {
    throw new TypeError('`teardown` must be a function');
  }
  return {
    [brand]: true,
    rules: readRules(trigger, written),
    decode: decode as Decode | undefined,
    input,
    reply,
    secrets: readSecrets(written.secrets),
    // Called on the definition, so that `this` is what its author expects.
    setup: setup && ((context) => setup.call(written, context)),
    teardown: teardown && ((resources) => teardown.call(written, resources)),
    run: (context) => run.call(written, context),
  };
}

function readTrigger(written: Written): Trigger {
  const { topic, topics, schedule, on } = written;
  const ways = [topic, topics, schedule, on].filter((way) => way !== undefined).length;
  if (ways !== 1) {
    throw new TypeError('a handler needs one of `topic`, `topics`, `schedule` and `on`');
  }
  if (topic !== undefined || topics !== undefined) {
    return { kind: 'command', topics: readTopics(topic, topics) };
  }
  const stray = ofCommands.find((name) => written[name] !== undefined);
  if (stray !== undefined) throw new TypeError(`\`${stray}\` is for handlers of commands`);
  return schedule !== undefined ? readSchedule(schedule) : { kind: 'hook', events: readEvents(on) };
}

function readRules(trigger: Trigger, written: Written): HandlerRules {
  const { timeoutMs, concurrency, order, retry } = written;
  if (order !== undefined && order !== 'user') throw new TypeError("`order` can only be 'user'");
  if (retry !== undefined && retry !== false && !isObject(retry)) {
    throw new TypeError('`retry` must be false, or an object with `attempts`');
  }
  const { attempts, firstDelayMs, longestDelayMs } = retry || {};
  return {
    trigger,
    timeoutMs: readNumber('timeoutMs', timeoutMs, 1, 86_400_000),
    concurrency: readNumber('concurrency', concurrency, 1, 1_000_000) ?? Number.POSITIVE_INFINITY,
    ordered: order === 'user',
    attempts: retry === false ? 1 : (readNumber('retry.attempts', attempts, 1, 100) ?? 5),
    firstDelayMs: readNumber('retry.firstDelayMs', firstDelayMs, 1, 86_400_000) ?? 1_000,
    longestDelayMs: readNumber('retry.longestDelayMs', longestDelayMs, 1, 86_400_000) ?? 300_000,
  };
}

function readNumber(name: string, value: unknown, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) {
    return value;
  }
  throw new TypeError(`\`${name}\` must be a whole number from ${least} to ${most}`);
}

function readSecrets(secrets: unknown): readonly string[] {
  if (secrets === undefined) return [];
  const isName = (name: unknown) => typeof name === 'string' && /^[A-Za-z_]\w*$/.test(name);
  if (Array.isArray(secrets) && secrets.every(isName)) return secrets;
  throw new TypeError('`secrets` must be a list of names in the environment');
}

/** The cron expression itself is read by `schedule.ts`, where the plugin is loaded. */
function readSchedule(schedule: unknown): ScheduleTrigger {
  const written: unknown = typeof schedule === 'string' ? { cron: schedule } : schedule;
  if (!isObject(written) || typeof written.cron !== 'string') {
    throw new TypeError('`schedule` must be a cron expression, or an object with `cron`');
  }
  const { cron, timeZone = 'UTC', missed = 'once' } = written;
  if (typeof timeZone !== 'string') throw new TypeError('`schedule.timeZone` must be a text');
  if (missed !== 'once' && missed !== 'skip') {
    throw new TypeError("`schedule.missed` must be 'once' or 'skip'");
  }
  return { kind: 'schedule', cron, timeZone, missed };
}

function readEvents(on: unknown): readonly HookEvent[] {
  const events = [...new Set(Array.isArray(on) ? on : [on])];
  if (events.length === 0 || !events.every((event) => hooks.includes(event))) {
    throw new TypeError(`\`on\` must be one of ${hooks.join(', ')}`);
  }
  if (events.length > 1 && events.includes('undelivered')) {
    throw new TypeError("`on: 'undelivered'` stands alone: its input is another");
  }
  return events;
}

function isObject(value: unknown): value is Written {
  return typeof value === 'object' && value !== null;
}

function isFunction(value: unknown): value is (...given: unknown[]) => unknown {
  return typeof value === 'function';
}

function isSchema(value: unknown): value is StandardSchema {
  if (!isObject(value) && !isFunction(value)) return false;
  const standard = (value as Partial<StandardSchema>)['~standard'];
  return typeof standard?.validate === 'function';
}

function readTopics(topic: unknown, topics: unknown): readonly TopicFilter[] {
  if (topic !== undefined) return [readTopic(topic)];
  if (!Array.isArray(topics) || topics.length === 0) {
    throw new TypeError('`topics` must be a list of topics');
  }
  return [...new Set(topics.map(readTopic))];
}

/**
 * A Topic Filter, with wildcards from its second level on: a command is named, so that a handler
 * never opens to devices more than its author meant.
 */
function readTopic(topic: unknown): TopicFilter {
  const filter = typeof topic === 'string' ? parseTopicFilter(topic) : undefined;
  if (filter === undefined) {
    throw new TypeError(`${JSON.stringify(topic)} is not a topic or Topic Filter`);
  }
  if (/^[+#]/.test(filter)) {
    throw new TypeError(`the topic ${filter} begins with a wildcard; a handler names its commands`);
  }
  if (filter.startsWith('$')) {
    throw new TypeError(`the topic ${filter} begins with $; such topics are the broker's own`);
  }
  return filter;
}
