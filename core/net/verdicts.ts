/**
 * Tokens that are being checked, and what came of them: asked for one by one, handed to the broker
 * by the turn, all that are ready at once.
 */
import type { Identity } from '../auth/rights.ts';
import type { ConnectionId, Millis, Verification } from '../broker/outbox.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { SteadyClock } from './clock.ts';

/** What the verifier of tokens answers. */
export type Verdict =
  | { readonly kind: 'accept'; readonly identity: Identity }
  | { readonly kind: 'refuse'; readonly reasonCode: ReasonCode; readonly detail: string };

/** Checks a token against the wall clock's time. */
export type Verify = (token: string, wallMs: Millis) => Promise<Verdict>;

export class Verdicts {
  readonly #verify: Verify;
  readonly #clock: SteadyClock;
  readonly #ready: () => void;
  readonly #fault: (thrown: unknown) => void;
  #results: Verification[] = [];

  /** `ready` is called whenever there is something to take; `fault` where the verifier threw. */
  constructor(
    verify: Verify,
    clock: SteadyClock,
    ready: () => void,
    fault: (thrown: unknown) => void,
  ) {
    this.#verify = verify;
    this.#clock = clock;
    this.#ready = ready;
    this.#fault = fault;
  }

  async ask(connection: ConnectionId, token: string): Promise<void> {
    let verdict: Verdict;
    try {
      verdict = await this.#verify(token, Date.now());
    } catch (error) {
      this.#fault(error);
      verdict = unchecked;
    }
    this.#results.push(
      verdict.kind === 'accept'
        ? { kind: 'accept', connection, identity: this.#onClock(verdict.identity) }
        : { ...verdict, connection },
    );
    this.#ready();
  }

  take(): readonly Verification[] {
    if (this.#results.length === 0) return none;
    const results = this.#results;
    this.#results = [];
    return results;
  }

  /** A token says in wall time when it expires; the broker compares with its own clock. */
  #onClock(identity: Identity): Identity {
    const expiresAtMs = this.#clock.fromWall(identity.expiresAtMs);
    return expiresAtMs === identity.expiresAtMs ? identity : { ...identity, expiresAtMs };
  }
}

const none: readonly Verification[] = [];
const unchecked: Verdict = {
  kind: 'refuse',
  reasonCode: ReasonCode.ServerUnavailable,
  detail: 'the token could not be checked',
};
