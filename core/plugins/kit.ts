/**
 * What plugin authors import as `bellhop/test`: a handler is run as the broker's workers run it, with
 * their decoding, checks and store, and what it did is told instead of sent.
 *
 *     const { reply } = await testHandler(hello, { user: '68946' });
 *     expect(reply).toEqual({ hello: '68946', visits: 1 });
 */
import type { LogFields, SendOptions, Store } from './context.ts';
import type { Handler } from './definition.ts';
import { runForTest } from './test-run.ts';
import { afterAll } from './test-runner.ts';
import { closeTestStores, openTestStore } from './test-store.ts';

export type { Around, Describe, Expect, Matchers, Test } from './test-runner.ts';
export {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from './test-runner.ts';

/** Who published what, and what surrounds the run. All of it may be left out. */
export interface Given {
  /** The publisher's user id, as the broker has verified it; `user` if not given. */
  readonly user?: string;
  /** Its Client Identifier; `client` if not given. */
  readonly client?: string;
  /** Needed only where the handler has several topics, or wildcards in its topic. */
  readonly topic?: string;
  /**
   * What was published: it is encoded as `decode` says, else as JSON, and decoded and validated like what a
   * device sends. For a hook or a schedule, those fields of its input that matter.
   */
  readonly input?: unknown;
  /** The bytes that were published, instead of `input`. */
  readonly payload?: Uint8Array | string;
  /** The MQTT 5 Content Type. */
  readonly contentType?: string;
  /** What `secrets` of the handler names. */
  readonly secrets?: { readonly [name: string]: string };
  /** Takes the place of what `setup` returns, which then is not run. */
  readonly resources?: unknown;
  /** 1 if not given. */
  readonly attempt?: number;
  /** If not given, one of its own with the migrations applied; give the same to runs that follow each other. */
  readonly store?: TestStore;
  /** What time it is, for `ttlSeconds` of keys: milliseconds since the epoch. */
  readonly now?: number;
  /** If not given, that of the handler, else 30 seconds. */
  readonly timeoutMs?: number;
  /** Commands of other handlers: `send` refuses a user topic that spells one. */
  readonly commands?: readonly string[];
}

/** What became of it. */
export interface TestRun {
  /** What went through `send`, in order; empty where the run failed. */
  readonly sent: readonly Sent[];
  /** What went through `publish`, in order; empty where the run failed. */
  readonly published: readonly Published[];
  /** What was answered to whoever asked, on the topic that `reply` names or that they gave; undefined for nothing. */
  readonly reply: unknown;
  /** What `run` returned, or resolved to. */
  readonly result: unknown;
  /** Lines of `log`, in order, those of a run that failed included. */
  readonly logs: readonly Logged[];
  /** Why it failed; undefined where it did not. */
  readonly error: Failure | undefined;
  readonly store: TestStore;
}

export interface Published {
  readonly topic: string;
  /** As a receiver reads it: as its Content Type says, else as JSON where it is that, else as text, else as bytes. */
  readonly payload: unknown;
  /** As they were given, with the defaults filled in. */
  readonly options: SendOptions;
}

export interface Sent extends Published {
  readonly user: string;
  readonly name: string;
}

export interface Logged {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

export interface Failure {
  /** `input` where the payload could not be read or did not fit, `failed` where it threw or rejected, `timeout`, `store`. */
  readonly kind: string;
  readonly message: string;
  /** Whether the broker would try it again. */
  readonly retry: boolean;
  /** What was thrown. */
  readonly thrown: unknown;
}

/** A store that is gone when the tests are over. What is written through it, outside of a run, is there at once. */
export interface TestStore extends Store {
  /** Removes it before that. */
  close(): void;
}

/** Runs `handler` once. It resolves also where the run failed: look at `error`. Rejects where what is given makes no command of it. */
export function testHandler(handler: Handler, given: Given = {}): Promise<TestRun> {
  return runForTest(handler, given);
}

/**
 * A store for tests, with the migrations of the plugins folder applied, or those of `folder`. Throws where
 * one of them fails.
 */
export function testStore(options: { readonly folder?: string } = {}): TestStore {
  return openTestStore(options.folder);
}

// Of the file that imports this first, or of all files where it was preloaded.
afterAll(closeTestStores);
