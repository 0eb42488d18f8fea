/**
 * Structured log lines. A record goes to every sink; the one here writes to stdout, and one that ships
 * batches elsewhere can stand beside it. Lines of one kind that repeat are counted rather than
 * written, so that a storm of refusals cannot fill a disk or slow the loop.
 *
 * No secret reaches a record, by construction; what looks like a token is masked all the same, because
 * clients put them into topics and Client Identifiers.
 */

export const levels = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof levels)[number];

export type FieldValue = string | number | boolean | undefined;
export type Fields = { readonly [name: string]: FieldValue };

/** Fields, or how to make them where the line is written: then they tell no kind from another. */
export type FieldsOrMaker = Fields | (() => Fields);

export interface LogRecord {
  readonly timeMs: number;
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
}

export interface Sink {
  /** Takes a record; must neither throw nor wait. */
  write(record: LogRecord): void;
  /** Resolves when what it took is written, or as far as it can be. */
  flush(): Promise<void>;
}

/** What everything that has something to say is given. */
export interface Log {
  debug(message: string, fields?: FieldsOrMaker): void;
  info(message: string, fields?: FieldsOrMaker): void;
  warn(message: string, fields?: FieldsOrMaker): void;
  error(message: string, fields?: FieldsOrMaker): void;
}

export interface LogOptions {
  readonly level: Level;
  /** Lines of one kind in `BURST_WINDOW_MS`; a kind is level, message and the field `reason`. */
  readonly burst: number;
  /** The same for lines with one of these messages, where it is another number. */
  readonly bursts?: { readonly [message: string]: number };
  readonly sinks: readonly Sink[];
  readonly now?: () => number;
}

export const BURST_WINDOW_MS = 10_000;

/** Longest text of one field; a stack may be longer. */
const LONGEST_FIELD = 512;
const LONGEST_STACK = 8_192;

/** Kinds that are counted at a time; beyond that, all begin anew. */
const MOST_KINDS = 10_000;

interface Kind {
  readonly level: Level;
  readonly message: string;
  readonly reason: FieldValue;
  readonly windowEndsMs: number;
  written: number;
  withheld: number;
}

const none: Fields = {};

export class Logger implements Log {
  readonly #options: LogOptions;
  readonly #least: number;
  readonly #now: () => number;
  readonly #kinds = new Map<string, Kind>();

  constructor(options: LogOptions) {
    this.#options = options;
    this.#least = levels.indexOf(options.level);
    this.#now = options.now ?? Date.now;
  }

  debug(message: string, fields: FieldsOrMaker = none): void {
    this.#take('debug', message, fields);
  }

  info(message: string, fields: FieldsOrMaker = none): void {
    this.#take('info', message, fields);
  }

  warn(message: string, fields: FieldsOrMaker = none): void {
    this.#take('warn', message, fields);
  }

  error(message: string, fields: FieldsOrMaker = none): void {
    this.#take('error', message, fields);
  }

  /** Writes how many lines were withheld, for every kind whose window is over. Called by a timer. */
  sweep(all = false): void {
    const now = this.#now();
    for (const [key, kind] of this.#kinds) {
      if (!all && kind.windowEndsMs > now) continue;
      this.#kinds.delete(key);
      this.#tellWithheld(kind, now);
    }
  }

  /** Writes what is withheld and waits for the sinks. */
  async flush(): Promise<void> {
    this.sweep(true);
    await Promise.all(this.#options.sinks.map((sink) => sink.flush()));
  }

  #take(level: Level, message: string, fields: FieldsOrMaker): void {
    if (levels.indexOf(level) < this.#least) return;
    const now = this.#now();
    const reason = typeof fields === 'function' ? undefined : fields.reason;
    const kind = this.#kindOf(level, message, reason, now);
    if (kind.written >= (this.#options.bursts?.[message] ?? this.#options.burst)) {
      kind.withheld++;
      return;
    }
    kind.written++;
    this.#write({
      timeMs: now,
      level,
      message: shortened(message, LONGEST_FIELD),
      fields: cleaned(typeof fields === 'function' ? fields() : fields),
    });
  }

  #kindOf(level: Level, message: string, reason: FieldValue, now: number): Kind {
    const key = `${level} ${reason ?? ''} ${message}`;
    const known = this.#kinds.get(key);
    if (known !== undefined && known.windowEndsMs > now) return known;
    if (known !== undefined) this.#tellWithheld(known, now);
    else if (this.#kinds.size >= MOST_KINDS) this.sweep(true);
    const windowEndsMs = now + BURST_WINDOW_MS;
    const kind: Kind = { level, message, reason, windowEndsMs, written: 0, withheld: 0 };
    this.#kinds.set(key, kind);
    return kind;
  }

  #tellWithheld(kind: Kind, now: number): void {
    if (kind.withheld === 0) return;
    const { level, message, reason, withheld } = kind;
    this.#write({
      timeMs: now,
      level,
      message: `${shortened(message, LONGEST_FIELD)}: ${withheld} more like this in ${BURST_WINDOW_MS / 1_000} s`,
      fields: cleaned({ reason }),
    });
  }

  #write(record: LogRecord): void {
    for (const sink of this.#options.sinks) sink.write(record);
  }
}

/** A JSON Web Token anywhere in a text: three base64url parts, the first of which is a JSON object. */
const tokenLike = /eyJ[\w-]{6,}\.[\w-]*(\.[\w-]*)?/g;

/** What a line says of itself; a handler's field of that name must not stand in for it. */
const lineNames = new Set(['time', 'level', 'message']);

function cleaned(fields: Fields): Fields {
  const clean: Record<string, FieldValue> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    clean[lineNames.has(name) ? `${name}_` : name] =
      typeof value === 'string'
        ? shortened(value, name === 'stack' ? LONGEST_STACK : LONGEST_FIELD)
        : value;
  }
  return clean;
}

function shortened(value: string, longest: number): string {
  const masked = value.includes('eyJ') ? value.replace(tokenLike, '[token]') : value;
  return masked.length <= longest ? masked : `${masked.slice(0, longest)}…`;
}
