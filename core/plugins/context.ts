/** What a run of a handler is given. Plugin authors see these types through `bellhop`. */

/** How a payload becomes `input`, before it is validated. */
export type Decode = 'json' | 'cbor' | 'text' | 'bytes';

/** Text and bytes are sent as they are, undefined as an empty payload, and everything else as JSON. */
export type Payload = unknown;

export interface SendOptions {
  /** 1 if not given. */
  readonly qos?: 0 | 1 | 2;
  /** Whether the broker keeps it for those who subscribe later. */
  readonly retain?: boolean;
  /** Seconds after which it is of no use to whom it has not reached. */
  readonly messageExpiryInterval?: number;
  /** What the payload is, for MQTT 5 receivers, such as `application/json`; `application/cbor` encodes it so. */
  readonly contentType?: string;
  /** Names and values for MQTT 5 receivers; names that begin with `bellhop-` are the broker's own. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

export interface HandlerLog {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
export type LogFields = { readonly [name: string]: unknown };

export type SqlValue = string | number | bigint | boolean | null | Uint8Array;
export type Row = { readonly [column: string]: string | number | null | Uint8Array };

/**
 * The handlers' database. Values in a template are bound, never spliced into the SQL. What a run
 * writes is committed when the run is over, together with what it sent, and undone if it fails.
 */
export interface Store {
  /** Runs a statement and tells how many rows it changed. */
  run(sql: TemplateStringsArray, ...values: readonly SqlValue[]): { readonly changes: number };
  /** The first row; undefined where there is none. */
  get<R = Row>(sql: TemplateStringsArray, ...values: readonly SqlValue[]): R | undefined;
  all<R = Row>(sql: TemplateStringsArray, ...values: readonly SqlValue[]): R[];
  /**
   * Does what `work` does wholly or not at all, within the run: where it throws, what it wrote is undone and
   * the error goes on. `work` must not be asynchronous; one that returns a promise is undone, and throws.
   */
  transaction<R>(work: () => R): R;
  /** Values by key, for what needs no table. */
  readonly keys: KeyValues;
}

/** Values are what JSON can say. Writes are part of the run, like those of SQL. */
export interface KeyValues {
  /** Undefined where there is none, or its time is up. */
  get<V = unknown>(key: string): V | undefined;
  /** Sets it; with `ttlSeconds`, for so long. */
  set(key: string, value: unknown, options?: { readonly ttlSeconds?: number }): void;
  /** Whether there was one. */
  delete(key: string): boolean;
  /** In the order of their keys. */
  list<V = unknown>(prefix: string): { readonly key: string; readonly value: V }[];
}

export interface Context<Input, Secret extends string = string, Resources = undefined> {
  /** The payload, decoded and validated. */
  readonly input: Input;
  readonly topic: string;
  /** The payload as it came. */
  readonly payload: Uint8Array;
  /** Who published it, verified by the broker; the id is empty where a plugin or a schedule did. */
  readonly user: { readonly id: string };
  /** The publisher's Client Identifier; the plugin's name where a plugin published it. */
  readonly client: { readonly id: string };
  readonly invocation: Invocation;
  /** Aborted when the run has used up its time. */
  readonly signal: AbortSignal;
  readonly store: Store;
  readonly log: HandlerLog;
  /** What `secrets` names, from the environment. */
  readonly secrets: { readonly [name in Secret]: string };
  /** What `setup` returned in this worker. */
  readonly resources: Resources;
  /**
   * Sends to the devices of a user, on the topic `<user>_<name>`, once this run has succeeded. Throws
   * where `user` cannot be a user id, or where that topic is a declared command.
   */
  readonly send: (user: string, name: string, payload?: Payload, options?: SendOptions) => void;
  /** Publishes to any topic but `$…`, once this run has succeeded. */
  readonly publish: (topic: string, payload?: Payload, options?: SendOptions) => void;
}

export interface Invocation {
  /** The same for each attempt at a command, so that other services can tell a repetition. In every log line of it. */
  readonly id: string;
  /** 1, and one more with each repetition. */
  readonly attempt: number;
  /** The trace id (W3C Trace Context), 32 hexadecimal digits: of the publisher's `traceparent` where it gave one. */
  readonly trace: string;
}

/** What `setup` is given. */
export interface SetupContext<Secret extends string = string> {
  readonly log: HandlerLog;
  readonly secrets: { readonly [name in Secret]: string };
}

/** The `input` of a handler with `on: 'connect'` or `'disconnect'`; `user` and `client` tell whose. */
export interface Presence {
  readonly event: 'connect' | 'disconnect';
  /** Grows from one event of a client to its next, restarts included: of two, the larger is the later. */
  readonly number: number;
  /** Whether this connection took the place of an older one of the same client, or gave way to a newer one. */
  readonly takeover: boolean;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** The `input` of a handler with `on: 'undelivered'`: a message for a user none of whose devices is connected. */
export interface Undelivered {
  /** Whom it was for. */
  readonly to: string;
  /** The name behind the user in its topic: `contact_requested`. */
  readonly name: string;
  readonly topic: string;
  /** As JSON where it is that, else as text, else as bytes. */
  readonly payload: unknown;
}

/** The `input` of a handler with `schedule`. */
export interface Scheduled {
  /** When it was due, in milliseconds since the epoch. */
  readonly due: number;
  /** How many due times before this one passed without a run, while the broker was down or the handler busy. */
  readonly missed: number;
}
