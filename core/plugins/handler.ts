/**
 * What plugin authors import as `bellhop`:
 *
 *     import { defineHandler } from 'bellhop';
 *     export default defineHandler({ topic: 'ping', run: ({ user, send }) => send(user.id, 'pong') });
 */
import type { Context, Decode, Presence, Scheduled, SetupContext, Undelivered } from './context.ts';
import { type Handler, readDefinition } from './definition.ts';
import type { OutputOf, StandardSchema } from './standard-schema.ts';

export type {
  Context,
  Decode,
  HandlerLog,
  Invocation,
  KeyValues,
  LogFields,
  Payload,
  Presence,
  Row,
  Scheduled,
  SendOptions,
  SetupContext,
  SqlValue,
  Store,
  Undelivered,
} from './context.ts';
export type { Handler } from './definition.ts';
export { NonRetryableError } from './fault.ts';
export type { Issue, StandardSchema, Validation } from './standard-schema.ts';

/** What `input` is: that of the schedule or hook, else what the schema makes of the payload, else what decoding does. */
export type InputOf<
  Schema extends StandardSchema | undefined,
  D extends Decode | undefined,
  On extends Hook | undefined = undefined,
  Time extends Schedule | undefined = undefined,
> = Time extends Schedule
  ? Scheduled
  : On extends 'undelivered'
    ? Undelivered
    : On extends Hook
      ? Presence
      : Schema extends StandardSchema
        ? OutputOf<Schema>
        : Decoded<D>;

type Decoded<D> = [D] extends ['text'] ? string : [D] extends ['bytes'] ? Uint8Array : unknown;

/** A time table: a cron expression, or one with its time zone. */
export type Schedule =
  | string
  | {
      /** Five fields, or six with seconds first. */
      readonly cron: string;
      /** As in `Europe/Berlin`; UTC if not given. */
      readonly timeZone?: string;
      /** What becomes of due times that passed while the broker was down: run once for all of them (the default), or skip them. */
      readonly missed?: 'once' | 'skip';
    };

export type HookEvent = 'connect' | 'disconnect' | 'undelivered';

/** What `on` may be: `undelivered` stands alone, since its input is another. */
export type Hook = 'undelivered' | 'connect' | 'disconnect' | readonly ('connect' | 'disconnect')[];

export interface Retry {
  /** How often a command is tried in all, 1 to 100; 5 if not given. */
  readonly attempts?: number;
  /** Milliseconds before the second attempt; 1,000 if not given. Each further wait is twice as long, give or take a quarter. */
  readonly firstDelayMs?: number;
  /** The longest wait; 5 minutes if not given. */
  readonly longestDelayMs?: number;
}

/**
 * What a handler has beside its trigger. Types are inferred from top to bottom: write `secrets` and
 * `setup` above `run`.
 */
export interface HandlerParts<
  Schema extends StandardSchema | undefined,
  D extends Decode | undefined,
  On extends Hook | undefined,
  Time extends Schedule | undefined,
  Secret extends string,
  Resources,
> {
  /** Has it run when a device connects or disconnects, or when a message finds none of its user's devices connected. */
  readonly on?: On;
  /** Has it run at these times. */
  readonly schedule?: Time;
  /**
   * How the payload is read. If not given, an MQTT 5 Content Type decides (JSON, CBOR, `text/…`,
   * `application/octet-stream`), and without one it is JSON. An empty payload is undefined as JSON.
   */
  readonly decode?: D;
  /** Checks the input and gives it its type: any Standard Schema. */
  readonly input?: Schema;
  /** Names in the environment that it needs; a plugin whose secrets are missing does not load. */
  readonly secrets?: readonly Secret[];
  /** Run once in each worker, before its first run; what it returns, or resolves to, is `resources`. */
  setup?(context: SetupContext<Secret>): Resources | PromiseLike<Resources>;
  /** Run before a worker ends in good order. */
  teardown?(resources: Resources): unknown;
  /** How long a run may take; `HANDLER_TIMEOUT_MS` if not given. */
  readonly timeoutMs?: number;
  /** Most runs at a time, over all workers; as many as there is room for if not given. */
  readonly concurrency?: number;
  /**
   * `user`: a command that is to be tried again holds back the later ones of its user for this
   * handler. If not given, they overtake it.
   */
  readonly order?: 'user';
  /** Tries a run that failed again; false for never. */
  readonly retry?: Retry | false;
  /**
   * Carries it out. What it writes to the store and what it sends take effect together when it is
   * over, or not at all if it throws or rejects.
   */
  run(context: Context<InputOf<Schema, D, On, Time>, Secret, Resources>): unknown;
}

/** What has a handler run: exactly one of `topic`, `topics`, `schedule` and `on`. */
export type HandlerTrigger =
  | ({
      /** The command that it carries out; a Topic Filter may have wildcards from its second level on. */
      readonly topic: string;
      readonly topics?: undefined;
    } & CommandTrigger)
  | ({
      /** As `topic`, where there are several. */
      readonly topics: readonly string[];
      readonly topic?: undefined;
    } & CommandTrigger)
  | ({ readonly schedule: Schedule; readonly on?: undefined } & NoCommand)
  | ({ readonly on: Hook; readonly schedule?: undefined } & NoCommand);

interface CommandTrigger {
  /** Sends what `run` returns, unless it is undefined, to the user on `<user>_<reply>`, where the command names no Response Topic. */
  readonly reply?: string;
  readonly schedule?: undefined;
  readonly on?: undefined;
}

interface NoCommand {
  readonly topic?: undefined;
  readonly topics?: undefined;
  readonly input?: undefined;
  readonly decode?: undefined;
  readonly reply?: undefined;
}

/** Defines a handler. Throws a `TypeError` where the definition does not hold together. */
export function defineHandler<
  Schema extends StandardSchema | undefined = undefined,
  const D extends Decode | undefined = undefined,
  const On extends Hook | undefined = undefined,
  const Time extends Schedule | undefined = undefined,
  const Secret extends string = never,
  Resources = undefined,
>(definition: HandlerParts<Schema, D, On, Time, Secret, Resources> & HandlerTrigger): Handler {
  return readDefinition(definition);
}
