/**
 * Where verification keys come from. A source offers keys for the algorithms of its kind and for no
 * others, so that a public key can never serve as an HMAC secret, whatever a token's header says:
 * shared secrets are here, published key sets in `jwks.ts`.
 */
import type { Millis } from '../broker/outbox.ts';

/** The header members that choose a key; `jku`, `x5u`, `x5c` and `jwk` are never read. */
export interface KeyHeader {
  readonly alg: string;
  /** Only ever compared with the `kid` of keys that are at hand. */
  readonly kid: unknown;
}

/** What a source answers. Several keys are tried in their order. */
export type KeyLookup =
  | { readonly kind: 'found'; readonly keys: readonly CryptoKey[] }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unavailable' };

export interface KeySource {
  /** The algorithms its keys are for, in the words of RFC 7518 section 3.1. */
  readonly algorithms: readonly string[];
  /** Whether its keys are the same for the life of the process, so that a bad signature stays one. */
  readonly fixed: boolean;
  /** `header.alg` is one of `algorithms`. Never rejects. */
  find(header: KeyHeader, now: Millis): Promise<KeyLookup>;
}

const hashes = { HS256: 'SHA-256', HS384: 'SHA-384', HS512: 'SHA-512' };

/** Shared secrets: the current one, and those that stay valid during a rotation. */
export class SecretKeys implements KeySource {
  readonly algorithms = Object.keys(hashes);
  readonly fixed = true;
  /** By algorithm, since a CryptoKey is bound to its hash. The secrets themselves are not kept. */
  readonly #keys = new Map<string, Promise<KeyLookup>>();

  /** Throws where a secret is empty: that would let everybody in. */
  constructor(secrets: readonly string[]) {
    if (secrets.length === 0 || secrets.includes('')) throw new Error('the shared secret is empty');
    const bytes = secrets.map((secret) => new TextEncoder().encode(secret));
    for (const [algorithm, hash] of Object.entries(hashes)) {
      this.#keys.set(algorithm, importSecrets(bytes, hash));
    }
  }

  find(header: KeyHeader): Promise<KeyLookup> {
    return this.#keys.get(header.alg) ?? Promise.resolve({ kind: 'unknown' });
  }
}

async function importSecrets(
  secrets: readonly Uint8Array<ArrayBuffer>[],
  hash: string,
): Promise<KeyLookup> {
  const keys = await Promise.all(
    secrets.map((secret) =>
      crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash }, false, ['verify']),
    ),
  );
  return { kind: 'found', keys };
}

/** Fewest bytes of a good secret: RFC 7518 section 3.2 asks for as many as the hash has, 32 for HS256. */
export const GOOD_SECRET_BYTES = 32;

/** Secrets of examples and tutorials, in lower case: whoever knows them can mint any token. */
const wellKnown = new Set([
  'secret',
  'secretkey',
  'secret-key',
  'secret_key',
  'jwtsecret',
  'jwt-secret',
  'jwt_secret',
  'mysecret',
  'my-secret',
  'supersecret',
  'super-secret',
  'topsecret',
  'your-secret',
  'your_secret',
  'your-secret-key',
  'your_secret_key',
  'your-256-bit-secret',
  'your-384-bit-secret',
  'your-512-bit-secret',
  'a-string-secret-at-least-256-bits-long',
  'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
  'emqxsecret',
  'rmqttsecret',
  'changeme',
  'change-me',
  'change_me',
  'changeit',
  'password',
  'passw0rd',
  'admin',
  'public',
  'default',
  'example',
  'test',
  'testsecret',
  'test-secret',
  'dev',
  'development',
  'keyboard cat',
  'shhhhh',
  'qwerty',
  '123456',
  '12345678',
  '1234567890',
]);

/** What to say about a secret at start, undefined where nothing. Never a part of the secret. */
export function secretWarning(secret: string): string | undefined {
  if (wellKnown.has(secret.toLowerCase())) {
    return 'is a well-known example: anybody can sign tokens with it; make one with `openssl rand -base64 32`';
  }
  const bytes = new TextEncoder().encode(secret).length;
  if (bytes < GOOD_SECRET_BYTES) {
    return `has ${bytes} bytes: who has one token can guess a short secret offline and then sign any; use ${GOOD_SECRET_BYTES} random bytes or more`;
  }
  if (new Set(secret).size <= 4) {
    return 'repeats a few characters: who has one token can guess it offline and then sign any';
  }
  return undefined;
}
