/**
 * Keys that an issuer publishes: a JSON Web Key Set (RFC 7517 section 5) at an URL of its own, or at
 * the one that an OpenID Connect discovery document names.
 *
 * Choosing a key is left to `jose`. What is ours is when to fetch: one fetch at a time; at most one in
 * a cool-down for key ids that are not in the set, however many arrive; and where fetching fails, the
 * last good set serves on until it is too old. Nothing here runs by itself: a fetch happens because a
 * token asks.
 */
import { createLocalJWKSet, errors, type JWSHeaderParameters } from 'jose';
import type { Millis } from '../broker/outbox.ts';
import type { KeyHeader, KeyLookup, KeySource } from './keys.ts';

/** RS, PS, ES and EdDSA in the words of RFC 7518 section 3.1 and RFC 8037; `Ed25519` is the newer name (RFC 9864). */
export const asymmetricAlgorithms = [
  ...['RS256', 'RS384', 'RS512'],
  ...['PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512'],
  ...['EdDSA', 'Ed25519'],
] as const;

/** How a key set is fetched. */
export interface FetchOptions {
  /** Let plain `http:` pass for hosts other than this machine. Whoever is on the way can then sign tokens. */
  readonly allowInsecure: boolean;
  /** Age at which a set is fetched anew, by the next token that needs it. */
  readonly maximumAgeMs: number;
  /** Age up to which a set serves on while fetching fails. */
  readonly maximumStaleMs: number;
  /** Least time between two fetches on account of unknown key ids, and most time between two attempts after failures. */
  readonly cooldownMs: number;
  /** For one request, its body included. */
  readonly timeoutMs: number;
  /** Largest document that is read. */
  readonly maximumBytes: number;
}

export const defaultFetchOptions: FetchOptions = {
  allowInsecure: false,
  maximumAgeMs: 10 * 60_000,
  maximumStaleMs: 24 * 3600_000,
  cooldownMs: 30_000,
  timeoutMs: 5_000,
  maximumBytes: 512 * 1024,
};

/** What happened to a key set, for the log and metrics. */
export type KeyEvent =
  | { readonly kind: 'keys-fetched'; readonly url: string; readonly keys: number }
  | { readonly kind: 'keys-failed'; readonly url: string; readonly detail: string };

/** First wait after a failure; each further one doubles it, up to the cool-down. */
const FIRST_RETRY_MS = 1_000;
/** Keys that are tried for a token without `kid`: those in use on both sides of a rotation. */
const MAXIMUM_CANDIDATES = 4;

type LocalSet = ReturnType<typeof createLocalJWKSet>;

export class RemoteKeys implements KeySource {
  readonly algorithms = asymmetricAlgorithms;
  readonly fixed = false;
  readonly #options: FetchOptions;
  readonly #report: (event: KeyEvent) => void;
  /** The issuer whose discovery document names the set; undefined where its URL is configured. */
  readonly #issuer: string | undefined;
  /** Undefined until discovered, and again after a failure: the set may have moved. */
  #url: URL | undefined;
  #set: LocalSet | undefined;
  #fetchedAt: Millis = 0;
  #attemptedAt: Millis | undefined;
  /** In a row. */
  #failures = 0;
  #pending: Promise<void> | undefined;

  /**
   * `source` is the URL of a key set, or an issuer exactly as its tokens write `iss`. Throws where
   * that is no URL to fetch from.
   */
  constructor(
    source: { readonly jwksUrl: string } | { readonly issuer: string },
    options: FetchOptions = defaultFetchOptions,
    report: (event: KeyEvent) => void = () => {},
  ) {
    this.#options = options;
    this.#report = report;
    if ('issuer' in source) {
      this.#issuer = source.issuer;
      fetchableUrl(source.issuer, options.allowInsecure);
    } else {
      this.#issuer = undefined;
      this.#url = fetchableUrl(source.jwksUrl, options.allowInsecure);
    }
  }

  /** Fetches the set now, or joins the fetch under way. Never rejects: events tell what came of it. */
  refresh(now: Millis): Promise<void> {
    this.#pending ??= this.#fetchSet(now).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async find(header: KeyHeader, now: Millis): Promise<KeyLookup> {
    if (this.#isDue(now)) {
      const fetched = this.refresh(now);
      // Once fetching has failed, who can be checked with the set at hand does not wait for the next try.
      if (this.#failures === 0 || !this.#isUsable(now)) await fetched;
    }
    if (!this.#isUsable(now)) return { kind: 'unavailable' };
    let keys = await this.#select(header);
    if (keys.length === 0 && this.#mayLookAgain(now)) {
      await this.refresh(now);
      keys = await this.#select(header);
    }
    if (keys.length > 0) return { kind: 'found', keys };
    // While fetching fails, the key may well be one that is newer than the set.
    return { kind: this.#failures > 0 ? 'unavailable' : 'unknown' };
  }

  /** A set is missing or has aged, and no failure was so recent that trying again would be a flood. */
  #isDue(now: Millis): boolean {
    const age = now - this.#fetchedAt;
    const fresh = this.#set !== undefined && age >= 0 && age <= this.#options.maximumAgeMs;
    return !fresh && (this.#failures === 0 || this.#hasPassed(this.#retryMs(), now));
  }

  #mayLookAgain(now: Millis): boolean {
    const wait = this.#failures === 0 ? this.#options.cooldownMs : this.#retryMs();
    return this.#pending !== undefined || this.#hasPassed(wait, now);
  }

  #isUsable(now: Millis): boolean {
    return this.#set !== undefined && now - this.#fetchedAt <= this.#options.maximumStaleMs;
  }

  #retryMs(): number {
    return Math.min(this.#options.cooldownMs, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
  }

  /** Whether `ms` have passed since the last attempt; also where the clock was set back. */
  #hasPassed(ms: number, now: Millis): boolean {
    const at = this.#attemptedAt;
    return at === undefined || now < at || now - at >= ms;
  }

  async #select(header: KeyHeader): Promise<readonly CryptoKey[]> {
    if (this.#set === undefined) return [];
    const { alg, kid } = header;
    try {
      // A `kid` that is no string equals no key's: `jose` sees to that.
      return [await this.#set((kid === undefined ? { alg } : { alg, kid }) as JWSHeaderParameters)];
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return [];
      const keys: CryptoKey[] = [];
      for await (const key of error) {
        keys.push(key);
        if (keys.length === MAXIMUM_CANDIDATES) break;
      }
      return keys;
    }
  }

  async #fetchSet(now: Millis): Promise<void> {
    this.#attemptedAt = now;
    try {
      this.#url ??= await this.#discover();
      const document = await this.#fetchJson(this.#url);
      this.#set = createLocalJWKSet(document as Parameters<typeof createLocalJWKSet>[0]);
      this.#fetchedAt = now;
      this.#failures = 0;
      const keys = this.#set.jwks().keys.length;
      this.#report({ kind: 'keys-fetched', url: shown(this.#url), keys });
    } catch (error) {
      this.#failures++;
      const url = this.#url === undefined ? (this.#issuer ?? '') : shown(this.#url);
      const detail = error instanceof Error ? error.message : String(error);
      this.#report({ kind: 'keys-failed', url, detail });
      if (this.#issuer !== undefined) this.#url = undefined;
    }
  }

  /** OpenID Connect Discovery 1.0 section 4: the document must name the very issuer that was asked. */
  async #discover(): Promise<URL> {
    const issuer = this.#issuer ?? '';
    const url = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const document = await this.#fetchJson(url);
    if (typeof document !== 'object' || document === null) throw new Error('not a JSON object');
    if (!('issuer' in document) || document.issuer !== issuer) {
      throw new Error('the discovery document names another issuer than the configured one');
    }
    if (!('jwks_uri' in document) || typeof document.jwks_uri !== 'string') {
      throw new Error('the discovery document has no jwks_uri');
    }
    return fetchableUrl(document.jwks_uri, this.#options.allowInsecure);
  }

  async #fetchJson(url: URL): Promise<unknown> {
    const response = await fetch(url, {
      headers: { accept: 'application/json, application/jwk-set+json' },
      redirect: 'error',
      signal: AbortSignal.timeout(this.#options.timeoutMs),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error(`status ${response.status} instead of 200`);
    }
    const text = await readBounded(response, this.#options.maximumBytes);
    try {
      return JSON.parse(text);
    } catch {
      throw new Error('not JSON');
    }
  }
}

/** Reads a body that may be longer than it announces, and no further than `maximum` bytes. */
async function readBounded(response: Response, maximum: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maximum) throw new Error(`longer than ${maximum} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Throws where `text` is no URL that keys may be fetched from. */
function fetchableUrl(text: string, allowInsecure: boolean): URL {
  const url = URL.parse(text);
  if (url === null) throw new Error(`${JSON.stringify(text)} is no URL`);
  if (url.username !== '' || url.password !== '') throw new Error('the URL holds a password');
  const secure = url.protocol === 'https:';
  if (!secure && (url.protocol !== 'http:' || !(allowInsecure || isLoopback(url.hostname)))) {
    throw new Error(`${shown(url)} is not https: who is on the way could put in keys of their own`);
  }
  return url;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

/** Without its query, which may hold a key to the door. */
function shown(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
