/**
 * What a remote handler process has to know of its session with the broker after a restart: its Client
 * Identifier, which session that was, and what it subscribed to. In a file of its own, replaced as a whole.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

interface Written {
  readonly clientIdentifier: string;
  /** Another one whenever the broker did not know the session. */
  readonly session: string;
  /** Subscription Identifiers by Topic Filter, `$share/…` included. */
  readonly subscriptions: { readonly [filter: string]: number };
}

/** Largest Subscription Identifier (section 1.5.5). */
const LARGEST = 268_435_455;

export class RemoteState {
  readonly clientIdentifier: string;
  #session: string;
  readonly #subscriptions: Map<string, number>;
  readonly #path: string;

  /** Reads the file, or begins anew where there is none. Throws where it cannot be read. */
  constructor(path: string, clientIdentifier: string | undefined) {
    this.#path = path;
    const found = read(path);
    const known = clientIdentifier === undefined || found?.clientIdentifier === clientIdentifier;
    const kept = known ? found : undefined;
    this.clientIdentifier =
      kept?.clientIdentifier ?? clientIdentifier ?? `handlers-${randomBytes(8).toString('hex')}`;
    this.#session = kept?.session ?? randomUUID();
    this.#subscriptions = new Map(Object.entries(kept?.subscriptions ?? {}));
    this.#write();
  }

  get session(): string {
    return this.#session;
  }

  /** Topic Filters that the broker may have subscriptions to. */
  get filters(): readonly string[] {
    return [...this.#subscriptions.keys()];
  }

  /** The Topic Filter that deliveries with this Subscription Identifier are for. */
  filterOf(identifier: number): string | undefined {
    for (const [filter, each] of this.#subscriptions) if (each === identifier) return filter;
    return undefined;
  }

  /** The broker does not know the session. */
  begin(): void {
    this.#session = randomUUID();
    this.#subscriptions.clear();
    this.#write();
  }

  /** The Subscription Identifier of each of `filters`, on disk before any is used. */
  subscribe(filters: readonly string[]): readonly { filter: string; identifier: number }[] {
    const used = new Set(this.#subscriptions.values());
    let changed = false;
    let next = 1;
    for (const filter of filters) {
      if (this.#subscriptions.has(filter)) continue;
      while (used.has(next) && next < LARGEST) next++;
      used.add(next);
      this.#subscriptions.set(filter, next);
      changed = true;
    }
    if (changed) this.#write();
    return filters.map((filter) => ({
      filter,
      identifier: this.#subscriptions.get(filter) as number,
    }));
  }

  unsubscribed(filters: readonly string[]): void {
    for (const filter of filters) this.#subscriptions.delete(filter);
    this.#write();
  }

  #write(): void {
    const written: Written = {
      clientIdentifier: this.clientIdentifier,
      session: this.#session,
      subscriptions: Object.fromEntries(this.#subscriptions),
    };
    const draft = `${this.#path}.new`;
    const handle = openSync(draft, 'w', 0o600);
    try {
      writeSync(handle, `${JSON.stringify(written, undefined, 2)}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(draft, this.#path);
  }
}

function read(path: string): Written | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
  const found: unknown = JSON.parse(text);
  if (isWritten(found)) return found;
  throw new Error(`${path} is not what was written there; remove it to begin with a new session`);
}

function isWritten(found: unknown): found is Written {
  if (typeof found !== 'object' || found === null) return false;
  const { clientIdentifier, session, subscriptions } = found as Partial<Written>;
  return (
    typeof clientIdentifier === 'string' &&
    typeof session === 'string' &&
    typeof subscriptions === 'object' &&
    subscriptions !== null &&
    Object.values(subscriptions).every((each) => Number.isInteger(each))
  );
}
