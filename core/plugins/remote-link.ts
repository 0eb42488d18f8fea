/**
 * Keeps a remote handler process connected: dials, waits ever longer between attempts, and puts a
 * new token in place of the old one before that expires.
 */
import type { Millis } from '../broker/outbox.ts';
import { ReasonCode, reasonName } from '../mqtt/reason-code.ts';
import type { HookEvent } from './handler.ts';
import type { RemoteClient } from './remote-client.ts';
import { Line, type LineFailure, type Target } from './remote-line.ts';
import { expiryOf, renewalTime, type TokenSource } from './remote-token.ts';

export type RemoteEvent =
  | { readonly kind: 'connected'; readonly sessionPresent: boolean }
  | { readonly kind: 'connection-lost'; readonly detail: string; readonly retryInMs: number }
  | {
      readonly kind: 'subscription-refused';
      readonly filter: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'publish-refused'; // what a handler had sent
      readonly topic: string;
      readonly reason: string;
      readonly detail: string | undefined;
    }
  | { readonly kind: 'token-renewed'; readonly expiresAtMs: number | undefined }
  | { readonly kind: 'token-refused'; readonly reason: string; readonly detail: string | undefined }
  | { readonly kind: 'token-missing'; readonly detail: string }
  | { readonly kind: 'hooks-without-broker'; readonly hooks: readonly HookEvent[] }
  | { readonly kind: 'schedules-off'; readonly handlers: readonly string[] };

/** Why there is no use in trying again. */
export class RemoteRefused extends Error {}

export interface LinkOptions {
  readonly target: Target;
  readonly token: TokenSource;
  now(): Millis;
}

export interface LinkListener {
  lost(): void;
  report(event: RemoteEvent): void;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** Who was let in for so long begins with short pauses again. */
const GOOD_AFTER_MS = 5_000;
/** After a refusal that another attempt hardly changes. */
const REFUSED_PAUSE_MS = 10_000;
/** How long after no new token could be had the next attempt is. */
const TOKEN_PAUSE_MS = 1_000;
const LONGEST_TOKEN_PAUSE_MS = 30_000;

/** What the broker says where it is to be told something else first. */
const hopeless: readonly ReasonCode[] = [
  ReasonCode.UnsupportedProtocolVersion,
  ReasonCode.ClientIdentifierNotValid,
  ReasonCode.BadUserNameOrPassword,
  ReasonCode.NotAuthorized,
  ReasonCode.Banned,
  ReasonCode.BadAuthenticationMethod,
];

interface Ending {
  readonly reasonCode: ReasonCode;
  readonly detail: string;
}

export class RemoteLink {
  readonly #options: LinkOptions;
  readonly #client: RemoteClient;
  readonly #listener: LinkListener;
  #line: Line | undefined = undefined;
  #ending: Ending | undefined = undefined;
  #attempts = 0;
  #connectedAtMs: number | undefined = undefined;
  #retry: NodeJS.Timeout | undefined = undefined;
  #stopped = false;
  /** Until all is subscribed for the first time. */
  #starting: PromiseWithResolvers<void> | undefined = undefined;
  #expected = new Set<string>();
  #closed: (() => void) | undefined = undefined;

  #token = '';
  #offered = '';
  /** On the wall clock, as tokens are. */
  #renewAtMs = Number.POSITIVE_INFINITY;
  #renewing = false;
  #tokenPauseMs = TOKEN_PAUSE_MS;

  constructor(options: LinkOptions, client: RemoteClient, listener: LinkListener) {
    this.#options = options;
    this.#client = client;
    this.#listener = listener;
  }

  /** Resolves once all is subscribed. Rejects with a `RemoteRefused`. */
  start(): Promise<void> {
    this.#starting = Promise.withResolvers<void>();
    void this.#dial();
    return this.#starting.promise;
  }

  /** Ends the connection in good order. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    if (this.#line === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = resolve;
    this.#client.disconnect();
    this.#line.end();
    await promise;
  }

  write(bytes: Uint8Array): void {
    this.#line?.write(bytes);
  }

  fail(detail: string): void {
    this.#line?.fail(detail);
  }

  connected(sessionPresent: boolean): void {
    this.#connectedAtMs = Date.now();
    this.#took(this.#offered);
    this.#listener.report({ kind: 'connected', sessionPresent });
  }

  /** What the broker said as it ended the connection, or refused it. */
  ended(reasonCode: ReasonCode, detail: string | undefined, connected: boolean): void {
    const said = detail === undefined ? reasonName(reasonCode) : detail;
    this.#ending = {
      reasonCode,
      detail: connected ? `the broker ended the connection: ${said}` : `refused: ${said}`,
    };
    if (!connected && hopeless.includes(reasonCode)) {
      this.#refuse(`the broker does not let us in: ${said}`);
    }
    this.#line?.fail(this.#ending.detail);
  }

  /** These are about to be subscribed to. */
  expect(filters: readonly string[]): void {
    this.#expected = new Set(filters);
    this.#ready();
  }

  subscribed(filter: string, reasonCode: ReasonCode): void {
    this.#expected.delete(filter);
    if (reasonCode >= ReasonCode.UnspecifiedError) {
      const reason = reasonName(reasonCode);
      this.#listener.report({ kind: 'subscription-refused', filter, reason });
      this.#refuse(
        `the broker refuses the subscription to ${filter} (${reason}); the token needs the role handler`,
      );
    }
    this.#ready();
  }

  renewed(reasonCode: ReasonCode, detail: string | undefined): void {
    this.#renewing = false;
    if (reasonCode < ReasonCode.UnspecifiedError) {
      this.#took(this.#offered);
      this.#listener.report({ kind: 'token-renewed', expiresAtMs: expiryOf(this.#token) });
      return;
    }
    const reason = reasonName(reasonCode);
    this.#listener.report({ kind: 'token-refused', reason, detail });
    this.#tokenLater();
  }

  tick(now: number): void {
    if (!this.#client.passed(now))
      this.#line?.fail('nothing has come from the broker for too long');
    const due = this.#client.open && Date.now() >= this.#renewAtMs;
    if (due && !this.#renewing && !this.#stopped) void this.#renew();
  }

  #ready(): void {
    if (this.#expected.size > 0) return;
    this.#starting?.resolve();
    this.#starting = undefined;
  }

  #refuse(detail: string): void {
    this.#starting?.reject(new RemoteRefused(detail));
    this.#starting = undefined;
  }

  /** Never rejects. */
  async #dial(): Promise<void> {
    let token: string;
    try {
      token = await this.#options.token();
    } catch (error) {
      const detail = (error as Error).message;
      this.#refuse(detail);
      this.#listener.report({ kind: 'token-missing', detail });
      return this.#redial(detail, REFUSED_PAUSE_MS);
    }
    if (this.#stopped) return;
    this.#offered = token;
    this.#line = new Line(this.#options.target, {
      opened: () => this.#client.begin(token, this.#options.now()),
      received: (bytes) => this.#client.received(bytes, this.#options.now()),
      closed: (why) => this.#lost(why),
    });
  }

  #lost({ detail, untrusted }: LineFailure): void {
    const ending = this.#ending;
    const since = this.#connectedAtMs;
    this.#line = undefined;
    this.#ending = undefined;
    this.#connectedAtMs = undefined;
    this.#renewing = false;
    this.#client.lost();
    this.#listener.lost();
    this.#closed?.();
    if (this.#stopped) return;
    if (untrusted) this.#refuse(detail);
    if (since !== undefined && Date.now() - since >= GOOD_AFTER_MS) this.#attempts = 0;
    const isRefused = ending !== undefined && hopeless.includes(ending.reasonCode);
    // Whoever has our Client Identifier would be thrown out in turn, for ever.
    const isRival = ending?.reasonCode === ReasonCode.SessionTakenOver;
    // An expired token ends the connection; with the next one there is no reason to wait.
    const least = untrusted || isRival || (isRefused && since === undefined) ? REFUSED_PAUSE_MS : 0;
    this.#redial(ending?.detail ?? detail, least);
  }

  #redial(detail: string, leastMs: number): void {
    if (this.#stopped) return;
    const step = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#attempts++);
    // From half to the whole, so that many processes do not come back at one moment.
    const retryInMs = Math.round(Math.max(step, leastMs) * (0.5 + Math.random() / 2));
    this.#listener.report({ kind: 'connection-lost', detail, retryInMs });
    this.#retry = setTimeout(() => void this.#dial(), retryInMs);
  }

  /** The broker has this token. */
  #took(token: string): void {
    this.#token = token;
    this.#tokenPauseMs = TOKEN_PAUSE_MS;
    this.#renewAtMs = renewalTime(Date.now(), expiryOf(token));
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    this.#renewing = true;
    const { connection } = this.#client;
    let token: string;
    try {
      token = await this.#options.token();
    } catch (error) {
      this.#renewing = false;
      this.#listener.report({ kind: 'token-missing', detail: (error as Error).message });
      return this.#tokenLater();
    }
    if (this.#stopped || this.#client.connection !== connection || !this.#client.open) {
      this.#renewing = false;
    } else if (token === this.#token) {
      this.#renewing = false;
      this.#tokenLater();
    } else {
      this.#offered = token;
      this.#client.renew(token);
    }
  }

  #tokenLater(): void {
    this.#renewAtMs = Date.now() + this.#tokenPauseMs;
    this.#tokenPauseMs = Math.min(LONGEST_TOKEN_PAUSE_MS, this.#tokenPauseMs * 2);
  }
}
