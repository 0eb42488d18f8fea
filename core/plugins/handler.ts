/**
 * What plugin authors import as `bellhop`:
 *
 *     import { defineHandler } from 'bellhop';
 *     export default defineHandler({ topic: 'ping', run: ({ user, send }) => send(user.id, 'pong') });
 */
import type { Context, Decode } from './context.ts';
import { type Handler, readDefinition } from './definition.ts';
import type { OutputOf, StandardSchema } from './standard-schema.ts';

export type {
  Context,
  Decode,
  HandlerLog,
  LogFields,
  Payload,
  Row,
  SendOptions,
  SqlValue,
  Store,
} from './context.ts';
export type { Handler } from './definition.ts';
export type { Issue, StandardSchema, Validation } from './standard-schema.ts';

/** What `input` is: what the schema makes of the payload, else what decoding does. */
export type InputOf<
  Schema extends StandardSchema | undefined,
  D extends Decode | undefined,
> = Schema extends StandardSchema ? OutputOf<Schema> : Decoded<D>;

type Decoded<D> = [D] extends ['text'] ? string : [D] extends ['bytes'] ? Uint8Array : unknown;

export type HandlerDefinition<
  Schema extends StandardSchema | undefined,
  D extends Decode | undefined,
> = Topics & {
  /**
   * How the payload is read. If not given, an MQTT 5 Content Type decides (JSON, `text/…`,
   * `application/octet-stream`), and without one it is JSON. An empty payload is undefined as JSON.
   */
  readonly decode?: D;
  /** Checks the input and gives it its type: any Standard Schema. */
  readonly input?: Schema;
  /** Sends what `run` returns, unless it is undefined, to the user on `<user>_<reply>`. */
  readonly reply?: string;
  /**
   * Carries out the command. What it writes to the store and what it sends take effect together when
   * it is over, or not at all if it throws or rejects.
   */
  run(context: Context<InputOf<Schema, D>>): unknown;
};

/** One topic or several; a Topic Filter may have wildcards from its second level on. */
type Topics =
  | { readonly topic: string; readonly topics?: undefined }
  | { readonly topics: readonly string[]; readonly topic?: undefined };

/** Defines a handler. Throws a `TypeError` where the definition does not hold together. */
export function defineHandler<
  Schema extends StandardSchema | undefined = undefined,
  const D extends Decode | undefined = undefined,
>(definition: HandlerDefinition<Schema, D>): Handler {
  return readDefinition(definition);
}
