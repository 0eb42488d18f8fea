/**
 * Verifies a JWT (RFC 7519) into an Identity, or says why not. `jose` does the cryptography and the
 * registered claims; which algorithms count follows from the configured keys (RFC 8725 section 3.1),
 * and the header may choose among the keys at hand and nothing more.
 *
 * It never throws or rejects, whatever the bytes, and no outcome holds a piece of the token.
 */
import { decodeJwt, decodeProtectedHeader, errors, type JWTVerifyOptions, jwtVerify } from 'jose';
import type { Millis } from '../broker/outbox.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import {
  type ClaimNames,
  ClaimProblem,
  defaultClaimNames,
  readExpiry,
  readIdentity,
} from './claims.ts';
import { type Issuer, type IssuerOptions, isUnmistakable, openIssuers } from './issuers.ts';
import { defaultFetchOptions, type FetchOptions, type KeyEvent } from './jwks.ts';
import type { KeySource } from './keys.ts';
import { RefusedTokens } from './refused-tokens.ts';
import type { Identity } from './rights.ts';

export interface VerifierOptions {
  /** One at least. The first is one's own; see `IssuerOptions.userPrefix` for the others. */
  readonly issuers: readonly IssuerOptions[];
  readonly claims: ClaimNames;
  /** Whether a token without `exp` is refused. */
  readonly requireExpiry: boolean;
  /** How far clocks may be apart, 0 to 60: tokens are valid that much before `nbf` and after `exp`. */
  readonly leewaySeconds: number;
  /** Longest time from `iat` to `exp`; undefined for no limit. */
  readonly maximumLifetimeSeconds: number | undefined;
  /** Longest token that is looked at, in characters. */
  readonly maximumTokenLength: number;
  /** How many refused tokens are remembered by their hash, so that clients that try again and again are answered cheaply; 0 for none. */
  readonly rememberedRefusals: number;
  readonly fetch: FetchOptions;
}

/** For tests and as the settings' defaults; `issuers` has none. */
export const defaultVerifierOptions: Omit<VerifierOptions, 'issuers'> = {
  claims: defaultClaimNames,
  requireExpiry: true,
  leewaySeconds: 5,
  maximumLifetimeSeconds: undefined,
  maximumTokenLength: 16 * 1024,
  rememberedRefusals: 10_000,
  fetch: defaultFetchOptions,
};

export type Verdict =
  | { readonly kind: 'accept'; readonly identity: Identity }
  | {
      readonly kind: 'refuse';
      /** BadUserNameOrPassword for a bad token, NotAuthorized for one that expired or is not for us, ServerUnavailable where no key could be fetched. */
      readonly reasonCode: ReasonCode;
      readonly detail: string;
    };

type Refusal = Extract<Verdict, { kind: 'refuse' }>;

export interface Verifier {
  verify(token: string, now: Millis): Promise<Verdict>;
  /** Fetches what key sets there are, so that the first client does not wait. Never rejects. */
  prefetch(now: Millis): Promise<void>;
}

/** Throws, with a message for the operator, where the options cannot be. */
export function createVerifier(
  options: VerifierOptions,
  report: (event: KeyEvent) => void = () => {},
): Verifier {
  const { leewaySeconds, maximumLifetimeSeconds } = options;
  if (!(leewaySeconds >= 0 && leewaySeconds <= 60)) throw new Error('leeway must be 0 to 60 s');
  if (maximumLifetimeSeconds !== undefined && !(maximumLifetimeSeconds > 0)) {
    throw new Error('the longest lifetime of a token must be more than 0 s');
  }
  return new TokenVerifier(options, openIssuers(options.issuers, options.fetch, report));
}

const malformed = refusal(ReasonCode.BadUserNameOrPassword, 'token malformed');
const badSignature = refusal(ReasonCode.BadUserNameOrPassword, 'bad signature');
const unusableKey = refusal(ReasonCode.BadUserNameOrPassword, 'key not usable');
const expired = refusal(ReasonCode.NotAuthorized, 'token expired');
const notYetValid = refusal(ReasonCode.NotAuthorized, 'token not yet valid');
const wrongIssuer = refusal(ReasonCode.NotAuthorized, 'wrong issuer');
const wrongAudience = refusal(ReasonCode.NotAuthorized, 'wrong audience');

function refusal(reasonCode: ReasonCode, detail: string): Refusal {
  return { kind: 'refuse', reasonCode, detail };
}

class TokenVerifier implements Verifier {
  readonly #options: VerifierOptions;
  readonly #issuers: readonly Issuer[];
  readonly #refused: RefusedTokens<Refusal>;

  constructor(options: VerifierOptions, issuers: readonly Issuer[]) {
    this.#options = options;
    this.#issuers = issuers;
    this.#refused = new RefusedTokens(options.rememberedRefusals);
  }

  async prefetch(now: Millis): Promise<void> {
    await Promise.all(this.#issuers.map((issuer) => issuer.remote?.refresh(now)));
  }

  async verify(token: string, now: Millis): Promise<Verdict> {
    if (token.length === 0) return refusal(ReasonCode.BadUserNameOrPassword, 'no token');
    if (token.length > this.#options.maximumTokenLength) {
      return refusal(ReasonCode.BadUserNameOrPassword, 'token too long');
    }
    try {
      const known = this.#refused.get(token, now);
      return known ?? (await this.#verify(token, now));
    } catch {
      // Nothing is left that `jose` is known to throw; whatever it is, the token does not pass.
      return malformed;
    }
  }

  async #verify(token: string, now: Millis): Promise<Verdict> {
    const header = readHeader(token);
    if (header === undefined) return malformed;
    const issuer = this.#issuerOf(token);
    if (issuer === undefined) return wrongIssuer;
    const source = issuer.sources.get(header.alg);
    if (source === undefined) {
      return refusal(ReasonCode.BadUserNameOrPassword, 'algorithm not accepted');
    }
    const lookup = await source.find(header, now);
    switch (lookup.kind) {
      case 'unavailable':
        return refusal(ReasonCode.ServerUnavailable, 'keys unavailable');
      case 'unknown':
        return refusal(ReasonCode.BadUserNameOrPassword, 'unknown key');
      case 'found':
        return this.#check(token, header.alg, lookup.keys, issuer, source, now);
      default:
        return lookup satisfies never;
    }
  }

  /** With several issuers, `iss` picks the keys before they prove it; with one, `jose` checks it. */
  #issuerOf(token: string): Issuer | undefined {
    if (this.#issuers.length === 1) return this.#issuers[0];
    const { iss } = decodeJwt(token);
    return this.#issuers.find((issuer) => issuer.options.issuer === iss);
  }

  async #check(
    token: string,
    algorithm: string,
    keys: readonly CryptoKey[],
    issuer: Issuer,
    source: KeySource,
    now: Millis,
  ): Promise<Verdict> {
    const expectations = this.#expectations(algorithm, issuer, now);
    for (const key of keys) {
      try {
        const { payload } = await jwtVerify(token, key, expectations);
        return this.#accept(payload, issuer, now);
      } catch (error) {
        if (error instanceof errors.JWSSignatureVerificationFailed) continue;
        const refused = explain(error);
        // An expired token stays so, unless the clock is set back.
        if (refused === expired) this.#refused.add(token, refused, now);
        return refused;
      }
    }
    if (source.fixed) this.#refused.add(token, badSignature, Number.NEGATIVE_INFINITY);
    return badSignature;
  }

  #expectations(algorithm: string, issuer: Issuer, now: Millis): JWTVerifyOptions {
    const { issuer: iss, audience } = issuer.options;
    return {
      algorithms: [algorithm],
      currentDate: new Date(now),
      clockTolerance: this.#options.leewaySeconds,
      ...(this.#options.requireExpiry && { requiredClaims: ['exp'] }),
      ...(iss !== undefined && { issuer: iss }),
      ...(audience.length > 0 && { audience: [...audience] }),
    };
  }

  /** The signature is good, and so are the registered claims. Throws `ClaimProblem`. */
  #accept(claims: Readonly<Record<string, unknown>>, issuer: Issuer, now: Millis): Verdict {
    const { claims: names, leewaySeconds, maximumLifetimeSeconds } = this.#options;
    const expiresAtMs = readExpiry(claims, leewaySeconds, maximumLifetimeSeconds, now);
    const identity = readIdentity(claims, names, issuer.options.userPrefix);
    if (!isUnmistakable(identity.user, issuer, this.#issuers)) {
      throw new ClaimProblem(`${names.user} begins with the user prefix of another issuer`);
    }
    if (!issuer.options.mayGrant && (identity.role !== 'device' || identity.grants !== undefined)) {
      throw new ClaimProblem(`this issuer may not give a ${names.role} or an ${names.acl}`);
    }
    return { kind: 'accept', identity: { ...identity, expiresAtMs } };
  }
}

/** The two header members that choose a key; undefined where there is no header to read. */
function readHeader(token: string): { alg: string; kid: unknown } | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return typeof alg === 'string' ? { alg, kid } : undefined;
  } catch {
    return undefined;
  }
}

/** What an exception of the check means. Its own message may hold a piece of the token, and is dropped. */
function explain(error: unknown): Refusal {
  if (error instanceof ClaimProblem) {
    return refusal(ReasonCode.BadUserNameOrPassword, error.message);
  }
  if (error instanceof errors.JWTExpired) return expired;
  if (error instanceof TypeError) return unusableKey; // an RSA key of less than 2048 bits, for one
  if (!(error instanceof errors.JWTClaimValidationFailed)) return malformed;
  switch (error.claim) {
    case 'iss':
      return wrongIssuer;
    case 'aud':
      return wrongAudience;
    case 'nbf':
    case 'exp':
    case 'iat':
      if (error.reason === 'missing') {
        return refusal(ReasonCode.BadUserNameOrPassword, `the token has no ${error.claim}`);
      }
      if (error.reason === 'check_failed') return notYetValid; // expired has a class of its own
      return refusal(ReasonCode.BadUserNameOrPassword, `${error.claim} must be a time in seconds`);
    default:
      return malformed;
  }
}
