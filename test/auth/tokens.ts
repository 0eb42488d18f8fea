/**
 * Tokens made by hand, bytes and all, so that what no library would sign can be presented too; and a
 * server on this machine that publishes key sets.
 */
import { createHmac, createSign, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { IssuerOptions } from '../../core/auth/issuers.ts';
import {
  createVerifier,
  defaultVerifierOptions,
  type Verifier,
  type VerifierOptions,
} from '../../core/auth/token.ts';

/** The time in these tests, 2026-01-01T00:00:00Z: in milliseconds, and in seconds as claims have it. */
export const nowMs = 1_767_225_600_000;
export const nowSeconds = nowMs / 1000;

export const secret = 'the secret of the tests, 32 bytes and a few more';
export const anotherSecret = 'another secret that is as long as the first one';

export const base64url = (data: string | Uint8Array) => Buffer.from(data).toString('base64url');

/** What a token is made of: objects are written as JSON, text is taken as it is. */
export interface Parts {
  readonly header?: object | string;
  readonly claims?: object | string;
}

export const goodClaims = { sub: '423144', exp: nowSeconds + 3600 };

const written = (part: object | string) => (typeof part === 'string' ? part : JSON.stringify(part));

function signingInput(parts: Parts, algorithm: string): string {
  const header = written(parts.header ?? { alg: algorithm, typ: 'JWT' });
  return `${base64url(header)}.${base64url(written(parts.claims ?? goodClaims))}`;
}

/** An HS256 token, whatever its header says. */
export function mint(
  parts: Parts = {},
  key: string | Uint8Array = secret,
  hash = 'sha256',
): string {
  const input = signingInput(parts, 'HS256');
  return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`;
}

/** An HS256 token for these claims beside a good `sub` and `exp`. */
export const mintFor = (claims: object) => mint({ claims: { ...goodClaims, ...claims } });

export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const ed = generateKeyPairSync('ed25519');

export function mintRs256(parts: Parts = {}, key: KeyObject = rsa.privateKey): string {
  const input = signingInput({ header: { alg: 'RS256', kid: 'rsa-1' }, ...parts }, 'RS256');
  return `${input}.${createSign('RSA-SHA256').update(input).sign(key, 'base64url')}`;
}

export function mintEs256(parts: Parts = {}): string {
  const input = signingInput({ header: { alg: 'ES256', kid: 'ec-1' }, ...parts }, 'ES256');
  const key = { key: ec.privateKey, dsaEncoding: 'ieee-p1363' as const };
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

export function mintEdDsa(parts: Parts = {}): string {
  const input = signingInput({ header: { alg: 'EdDSA', kid: 'ed-1' }, ...parts }, 'EdDSA');
  return `${input}.${sign(null, Buffer.from(input), ed.privateKey).toString('base64url')}`;
}

export const jwk = (key: KeyObject, members: object) => ({
  ...(key.export({ format: 'jwk' }) as Record<string, unknown>),
  ...members,
});

export const publishedKeys = [
  jwk(rsa.publicKey, { kid: 'rsa-1', use: 'sig' }),
  jwk(ec.publicKey, { kid: 'ec-1', use: 'sig' }),
  jwk(ed.publicKey, { kid: 'ed-1', use: 'sig' }),
];

/** One issuer with the tests' secret and nothing else. */
export const secretIssuer: IssuerOptions = {
  issuer: undefined,
  audience: [],
  secrets: [secret],
  jwksUrl: undefined,
  discover: false,
  userPrefix: '',
  mayGrant: true,
};

export function verifierOf(
  issuers: readonly IssuerOptions[],
  options: Partial<VerifierOptions> = {},
): Verifier {
  return createVerifier({ ...defaultVerifierOptions, leewaySeconds: 0, ...options, issuers });
}

/** A server of documents on this machine; `answer` may be changed, and `requests` counts by path. */
export class KeyServer {
  answer: (path: string) => Response | Promise<Response> = () =>
    Response.json({ keys: publishedKeys });
  readonly requests = new Map<string, number>();
  readonly #server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      this.requests.set(pathname, (this.requests.get(pathname) ?? 0) + 1);
      return this.answer(pathname);
    },
  });
  readonly origin = `http://127.0.0.1:${this.#server.port}`;

  /** Requests so far, to all paths. */
  get count(): number {
    return [...this.requests.values()].reduce((sum, each) => sum + each, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}
