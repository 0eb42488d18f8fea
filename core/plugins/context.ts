/** What a run of a handler is given. Plugin authors see these types through `bellhop`. */

/** How a payload becomes `input`, before it is validated. */
export type Decode = 'json' | 'text' | 'bytes';

/** Text and bytes are sent as they are, undefined as an empty payload, and everything else as JSON. */
export type Payload = unknown;

export interface SendOptions {
  /** 1 if not given. */
  readonly qos?: 0 | 1 | 2;
  /** Whether the broker keeps it for those who subscribe later. */
  readonly retain?: boolean;
  /** Seconds after which it is of no use to whom it has not reached. */
  readonly messageExpiryInterval?: number;
  /** What the payload is, for MQTT 5 receivers, such as `application/json`. */
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
}

export interface Context<Input> {
  /** The payload, decoded and validated. */
  readonly input: Input;
  readonly topic: string;
  /** The payload as it came. */
  readonly payload: Uint8Array;
  /** Who published it, verified by the broker; the id is empty where a plugin did. */
  readonly user: { readonly id: string };
  /** The publisher's Client Identifier; the plugin's name where a plugin published it. */
  readonly client: { readonly id: string };
  /** This run; the id is in every log line of it. */
  readonly invocation: { readonly id: string };
  /** Aborted when the run has used up its time. */
  readonly signal: AbortSignal;
  readonly store: Store;
  readonly log: HandlerLog;
  /**
   * Sends to the devices of a user, on the topic `<user>_<name>`, once this run has succeeded. Throws
   * where `user` cannot be a user id, or where that topic is a declared command.
   */
  readonly send: (user: string, name: string, payload?: Payload, options?: SendOptions) => void;
  /** Publishes to any topic but `$…`, once this run has succeeded. */
  readonly publish: (topic: string, payload?: Payload, options?: SendOptions) => void;
}
