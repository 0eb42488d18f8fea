/**
 * From verified claims to an Identity. Types are strict and nothing is coerced or ignored: a claim
 * that is there and is not what it must be refuses the token, because whoever minted it meant
 * something by it (RFC 7519 section 4).
 */
import { grantProblem } from './grants.ts';
import type { Grants, Identity, Role } from './rights.ts';
import { encodeUser, MAXIMUM_USER_BYTES } from './user-topic.ts';

/** What the claims are called, taken literally: `https://example.com/role` is one name, not a path. */
export interface ClaimNames {
  readonly user: string;
  readonly role: string;
  readonly acl: string;
}

export const defaultClaimNames: ClaimNames = { user: 'sub', role: 'role', acl: 'acl' };

/** A claim that refuses its token. The message names claims and rules, never a value. */
export class ClaimProblem extends Error {}

/** Latest time that a Date can name, in seconds (ECMA-262 section 21.4.1.1). */
const LATEST_SECONDS = 8_640_000_000_000;

/**
 * Reads who a token is for. `expiresAtMs` is left to `readExpiry`, since it depends on settings.
 * Throws `ClaimProblem`.
 */
export function readIdentity(
  claims: Readonly<Record<string, unknown>>,
  names: ClaimNames,
  userPrefix: string,
): Omit<Identity, 'expiresAtMs'> {
  const id = claim(claims, names.user);
  if (id === undefined) throw new ClaimProblem(`the token has no ${names.user}`);
  if (typeof id !== 'string') throw new ClaimProblem(`${names.user} must be a string`);
  if (id === '') throw new ClaimProblem(`${names.user} is empty`);
  const user = userPrefix + id;
  if (encodeUser(user) === undefined) {
    throw new ClaimProblem(
      `${names.user} must be well-formed text without U+0000, of ${MAXIMUM_USER_BYTES} bytes at most`,
    );
  }
  const role = readRole(claim(claims, names.role), names.role);
  const acl = claim(claims, names.acl);
  return { user, role, grants: acl === undefined ? undefined : readGrants(acl, names.acl) };
}

function readRole(value: unknown, name: string): Role {
  if (value === undefined) return 'device';
  if (value === 'device' || value === 'handler' || value === 'admin') return value;
  throw new ClaimProblem(`${name} must be device, handler or admin`);
}

/**
 * Reads explicit grants, `{"pub": […], "sub": […], "retain": true, "share": true}`, every member
 * optional: a list left out grants nothing, a boolean left out is true. `place` is where they
 * stand, for the message. Throws `ClaimProblem`.
 */
export function readGrants(value: unknown, place: string): Grants {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ClaimProblem(`${place} must be an object`);
  }
  const members: Readonly<Record<string, unknown>> = { ...value };
  for (const name of Object.keys(members)) {
    if (!['pub', 'sub', 'retain', 'share'].includes(name)) {
      throw new ClaimProblem(`${place} may have pub, sub, retain and share, and nothing else`);
    }
  }
  return {
    publish: readFilters(members.pub, `${place}.pub`),
    subscribe: readFilters(members.sub, `${place}.sub`),
    retain: readBoolean(members.retain, `${place}.retain`),
    share: readBoolean(members.share, `${place}.share`),
  };
}

function readFilters(value: unknown, place: string): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new ClaimProblem(`${place} must be a list of Topic Filters`);
  return value.map((filter: unknown, index) => {
    if (typeof filter !== 'string') throw new ClaimProblem(`${place}[${index}] must be a string`);
    const problem = grantProblem(filter);
    if (problem !== undefined) throw new ClaimProblem(`${place}[${index}]: ${problem}`);
    return filter;
  });
}

function readBoolean(value: unknown, place: string): boolean {
  if (value === undefined) return true;
  if (typeof value !== 'boolean') throw new ClaimProblem(`${place} must be true or false`);
  return value;
}

/**
 * When a token that was valid until `exp` stops being so, leeway included: the same moment for the
 * check at CONNECT and for the end of the connection. Infinity where there is no `exp`, and none is
 * needed. `maximumLifetimeSeconds` bounds `exp - iat`, and what is left at `now` where `iat` is
 * absent or lies ahead. Throws `ClaimProblem`. (RFC 7519 section 4.1.4)
 */
export function readExpiry(
  claims: Readonly<Record<string, unknown>>,
  leewaySeconds: number,
  maximumLifetimeSeconds: number | undefined,
  nowMs: number,
): number {
  const exp = readTime(claims, 'exp');
  const iat = readTime(claims, 'iat');
  if (exp === undefined) {
    if (maximumLifetimeSeconds !== undefined) throw new ClaimProblem('the token has no exp');
    return Number.POSITIVE_INFINITY;
  }
  if (maximumLifetimeSeconds !== undefined) {
    const issued = Math.min(iat ?? Number.POSITIVE_INFINITY, nowMs / 1000 + leewaySeconds);
    if (exp - issued > maximumLifetimeSeconds) {
      throw new ClaimProblem(`the token is valid for more than ${maximumLifetimeSeconds} s`);
    }
  }
  return (exp + leewaySeconds) * 1000;
}

/** A NumericDate. JSON can spell `1e999`, which reads as Infinity: a token that never expires by the back door. */
function readTime(
  claims: Readonly<Record<string, unknown>>,
  name: 'exp' | 'iat',
): number | undefined {
  const seconds = claim(claims, name);
  if (seconds === undefined) return undefined;
  if (typeof seconds !== 'number' || !(Math.abs(seconds) <= LATEST_SECONDS)) {
    throw new ClaimProblem(`${name} must be a time in seconds`);
  }
  return seconds;
}

/** An own member only: a claim called `constructor` is not found in every object. */
function claim(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}
