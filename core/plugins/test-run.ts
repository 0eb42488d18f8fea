/** One run of a handler for a test: the same `Run` that workers use, and what it left told in plain values. */
import { DeclaredCommands } from '../auth/commands.ts';
import { readUserTopic } from '../auth/user-topic.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../mqtt/topic.ts';
import type { SendOptions } from './context.ts';
import type { Handler } from './definition.ts';
import { type LogLine, Route } from './exchange.ts';
import { describeThrown, type Fault } from './fault.ts';
import type { Failure, Given, Published, Sent, TestRun } from './kit.ts';
import { decodePayload, guessPayload } from './payload.ts';
import { isPromise } from './promise.ts';
import { type Command, Run, type Surroundings } from './run.ts';
import { Redactor, readSecrets } from './secrets.ts';
import type { TopicRules } from './sending.ts';
import { Speaker, type Voice } from './speaker.ts';
import { StoreUse } from './store.ts';
import { messageFor, SEPARATOR } from './test-message.ts';
import { FileStore, openTestStore } from './test-store.ts';

/** As HANDLER_TIMEOUT_MS, where nothing else is said. */
const TIMEOUT_MS = 30_000;
const NAME = 'test';
const TRACE = '0af7651916cd43dd8448eb211c80319c';

/** What a run of the handler returned or threw, beside what the runtime makes of it. */
interface Seen {
  result: unknown;
  thrown: unknown;
}

export async function runForTest(handler: Handler, given: Given): Promise<TestRun> {
  const message = messageFor(handler, given, NAME);
  const secrets = secretsFor(handler, given);
  const store = given.store ?? openTestStore();
  if (!(store instanceof FileStore)) throw new TypeError('`store` must come from testStore');
  const logs: LogLine[] = [];
  const redactor = new Redactor();
  redactor.add(secrets);
  const voice: Voice = { redactor, post: (line) => logs.push(line) };
  const surroundings: Surroundings = {
    roots: store.plugins,
    separator: SEPARATOR,
    rules: rulesFor(handler, given),
    store: store.handlers,
    voice,
    redactor,
  };
  return store.inTurn(async () => {
    store.now = given.now;
    const { log } = new Speaker(voice, { handler: NAME, invocation: '', trace: '' });
    const sets = !Object.hasOwn(given, 'resources');
    const resources = sets ? await handler.setup?.({ log, secrets }) : given.resources;
    const seen: Seen = { result: undefined, thrown: undefined };
    const command: Command = {
      source: {
        handler: watched(handler, seen),
        plugin: NAME,
        name: NAME,
        shown: '',
        timeoutMs: given.timeoutMs ?? handler.rules.timeoutMs ?? TIMEOUT_MS,
        secrets,
        resources,
        habits: { locksFirst: false, waits: false },
      },
      message,
      number: 0,
      name: { invocation: 'test-invocation', trace: TRACE },
      attempt: given.attempt ?? 1,
    };
    try {
      const { run, fault } = await carryOut(command, surroundings);
      const told = fault === undefined ? tell(run, handler, seen) : nothing;
      return {
        ...told,
        logs: logs.map(({ level, message: text, fields }) => ({ level, message: text, fields })),
        error: fault && failureOf(fault, seen),
        store,
      };
    } finally {
      store.now = undefined;
      if (sets) await handler.teardown?.(resources as never);
    }
  });
}

/** As a worker does it: what was read does not hold any more where others have written since. */
async function carryOut(
  command: Command,
  surroundings: Surroundings,
): Promise<{ readonly run: Run; readonly fault: Fault | undefined }> {
  const { store, roots } = surroundings;
  for (let locksFirst = false; ; locksFirst = true) {
    const use = new StoreUse(locksFirst);
    const run = new Run(command, use, surroundings);
    const outcome = run.start();
    if (outcome instanceof Promise) run.limitTime();
    const fault = await outcome;
    try {
      if (fault === undefined && !use.stale) store.keep(use, undefined);
      else store.undo(use);
      store.commit();
      if (!use.stale || locksFirst) return { run, fault };
    } catch (error) {
      return { run, fault: fault ?? describeThrown('store', error, roots) };
    }
  }
}

function watched(handler: Handler, seen: Seen): Handler {
  const thrown = (error: unknown): never => {
    seen.thrown = error;
    throw error;
  };
  return {
    ...handler,
    run(context) {
      try {
        const result = handler.run(context);
        if (!isPromise(result)) {
          seen.result = result;
          return result;
        }
        return result.then((value) => {
          seen.result = value;
          return value;
        }, thrown);
      } catch (error) {
        return thrown(error);
      }
    },
  };
}

function secretsFor({ secrets }: Handler, given: Given): { readonly [name: string]: string } {
  const { values, missing } = readSecrets(secrets, given.secrets ?? {});
  if (missing.length === 0) return values;
  throw new TypeError(`the handler needs \`secrets\`: ${missing.join(', ')}`);
}

function rulesFor({ rules }: Handler, given: Given): TopicRules {
  const commands = new DeclaredCommands();
  const own = rules.trigger.kind === 'command' ? rules.trigger.topics : [];
  for (const topic of [...own, ...(given.commands ?? [])]) commands.add(topic as TopicFilter);
  return { separator: SEPARATOR, declares: (topic: TopicName) => commands.declares(topic) };
}

const nothing = { sent: [], published: [], reply: undefined, result: undefined };

function tell(
  run: Run,
  handler: Handler,
  { result }: Seen,
): Pick<TestRun, 'sent' | 'published' | 'reply' | 'result'> {
  const sends = [...run.sends];
  const isAnswered = result !== undefined && handler.rules.trigger.kind === 'command';
  const { user } = run.command.message.publisher;
  // The answer goes last, be it to a user topic or to a Response Topic.
  const answer = isAnswered && user !== '' ? sends.pop()?.message : undefined;
  const of = (route: Route) => sends.filter((each) => each.route === route);
  return {
    sent: of(Route.Send).map(({ message }) => sentOf(message)),
    published: of(Route.Publish).map(({ message }) => publishedOf(message)),
    reply: answer && payloadOf(answer),
    result,
  };
}

function sentOf(message: Message): Sent {
  const { user = '', name = '' } = readUserTopic(message.topic, SEPARATOR) ?? {};
  return { user, name, ...publishedOf(message) };
}

function publishedOf(message: Message): Published {
  const { topic, qos, retain, expiresAtMs, properties } = message;
  const { contentType, userProperties } = properties ?? {};
  const options: SendOptions = {
    qos,
    retain,
    ...(Number.isFinite(expiresAtMs) && { messageExpiryInterval: expiresAtMs / 1_000 }),
    ...(contentType !== undefined && { contentType }),
    ...(userProperties !== undefined && { userProperties }),
  };
  return { topic, payload: payloadOf(message), options };
}

function payloadOf({ payload, properties }: Message): unknown {
  const contentType = properties?.contentType;
  if (contentType === undefined) return payload.length === 0 ? undefined : guessPayload(payload);
  try {
    return decodePayload(payload, undefined, contentType);
  } catch {
    return payload; // of a kind that only its receivers know
  }
}

function failureOf({ kind, detail, retry }: Fault, { thrown }: Seen): Failure {
  return { kind, message: detail, retry, thrown };
}
