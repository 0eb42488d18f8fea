/**
 * A handler as the runtime holds it, and the checks that a definition passes on its way. They run
 * inside `defineHandler`, so that the error carries the file and line of the plugin.
 */
import { parseTopicFilter, type TopicFilter } from '../mqtt/topic.ts';
import type { Context, Decode } from './context.ts';
import type { StandardSchema } from './standard-schema.ts';

/** Registered, so that it is the same in each copy of the SDK that a process may hold. */
const brand: unique symbol = Symbol.for('bellhop.handler') as never;

/** What `defineHandler` returns. */
export interface Handler {
  readonly [brand]: true;
  readonly topics: readonly TopicFilter[];
  readonly decode: Decode | undefined;
  readonly input: StandardSchema | undefined;
  /** The name under which what `run` returns is sent to the user whose command it was. */
  readonly reply: string | undefined;
  readonly run: (context: Context<never>) => unknown;
}

const known = ['topic', 'topics', 'decode', 'input', 'reply', 'run'];
const decodes: readonly unknown[] = ['json', 'text', 'bytes'] satisfies Decode[];

export function isHandler(value: unknown): value is Handler {
  return typeof value === 'object' && value !== null && brand in value;
}

/** Reads what a plugin wrote. Throws a `TypeError` that says what is wrong with it. */
export function readDefinition(written: unknown): Handler {
  if (typeof written !== 'object' || written === null) {
    throw new TypeError('a handler is defined by an object with `topic` and `run`');
  }
  const given = written as { readonly [name: string]: unknown };
  const stray = Object.keys(given).find((name) => !known.includes(name));
  if (stray !== undefined) {
    throw new TypeError(`a handler has no property \`${stray}\`, only ${known.join(', ')}`);
  }
  const { decode, input, reply, run } = given;
  if (typeof run !== 'function') throw new TypeError('a handler needs a function `run`');
  if (decode !== undefined && !decodes.includes(decode)) {
    throw new TypeError(`\`decode\` must be one of ${decodes.join(', ')}`);
  }
  if (input !== undefined && !isSchema(input)) {
    throw new TypeError('`input` must be a Standard Schema, such as those of Valibot and Zod');
  }
  if (reply !== undefined && (typeof reply !== 'string' || reply === '')) {
    throw new TypeError('`reply` must be the name of a user topic');
  }
  return {
    [brand]: true,
    topics: readTopics(given.topic, given.topics),
    decode: decode as Decode | undefined,
    input,
    reply,
    // Called on the definition, so that `this` is what its author expects.
    run: (context) => run.call(given, context),
  };
}

function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const standard = (value as Partial<StandardSchema>)['~standard'];
  return typeof standard?.validate === 'function';
}

function readTopics(topic: unknown, topics: unknown): readonly TopicFilter[] {
  if ((topic === undefined) === (topics === undefined)) {
    throw new TypeError('a handler needs either `topic` or `topics`');
  }
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
