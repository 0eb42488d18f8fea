/**
 * Who may sign tokens, and what their user ids become. Several issuers share one space of user ids,
 * so each beyond the first has a prefix, and no user id of one can spell a user id of another
 * (RFC 7519 section 4.1.2: a subject is unique only within its issuer).
 */
import { type FetchOptions, type KeyEvent, RemoteKeys } from './jwks.ts';
import { type KeySource, SecretKeys, secretWarning } from './keys.ts';
import { JsonProblem, parseStrictJson, readObject } from './strict-json.ts';

export interface IssuerOptions {
  /** The `iss` of its tokens, compared as it is; undefined, where it is the only issuer, leaves it unchecked. */
  readonly issuer: string | undefined;
  /** Accepted values of `aud`, one of which a token must have; empty leaves it unchecked. */
  readonly audience: readonly string[];
  /** Shared secrets, the current one first: HS256, HS384, HS512. */
  readonly secrets: readonly string[];
  /** Where its key set is: RS, PS, ES and EdDSA. Undefined where it has none, or where it is discovered. */
  readonly jwksUrl: string | undefined;
  /** Find the key set by OpenID Connect discovery from `issuer`. */
  readonly discover: boolean;
  /** What its user ids begin with here. Empty is for the first issuer only. */
  readonly userPrefix: string;
  /** Whether its tokens may carry a role other than device, or an acl. Meant for the issuer that is one's own. */
  readonly mayGrant: boolean;
}

/**
 * Reads the issuers beyond the first, as a setting gives them:
 *
 *     [{ "issuer": "https://accounts.example.com", "userPrefix": "x:", "audience": ["app"] }]
 *
 * `issuer` and `userPrefix` are needed; `audience` is a list; `jwksUrl` or `secret` says where the keys
 * are, and without either they are discovered; `mayGrant` is false unless it is said to be true.
 * Throws `JsonProblem`.
 */
export function parseIssuers(text: string): readonly IssuerOptions[] {
  const list = parseStrictJson(text);
  if (!Array.isArray(list)) throw new JsonProblem('expected a list of issuers');
  return list.map((value: unknown, index) => {
    const place = `issuer ${index + 1} of the list`;
    const members = readObject(value, place, [
      ...['issuer', 'userPrefix', 'audience', 'jwksUrl', 'secret', 'mayGrant'],
    ]);
    const { audience = [], mayGrant = false } = members;
    if (!Array.isArray(audience) || audience.some((member) => typeof member !== 'string')) {
      throw new JsonProblem(`${place}: audience must be a list of strings`);
    }
    if (typeof mayGrant !== 'boolean') {
      throw new JsonProblem(`${place}: mayGrant must be true or false`);
    }
    const jwksUrl = readText(members, 'jwksUrl', place);
    const secret = readText(members, 'secret', place);
    return {
      issuer: needed(readText(members, 'issuer', place), 'issuer', place),
      audience,
      secrets: secret === undefined ? [] : [secret],
      jwksUrl,
      discover: jwksUrl === undefined && secret === undefined,
      userPrefix: needed(readText(members, 'userPrefix', place), 'userPrefix', place),
      mayGrant,
    };
  });
}

function readText(
  members: Readonly<Record<string, unknown>>,
  name: string,
  place: string,
): string | undefined {
  const value = members[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || !value.isWellFormed()) {
    throw new JsonProblem(`${place}: ${name} must be text, and not empty`);
  }
  return value;
}

function needed(value: string | undefined, name: string, place: string): string {
  if (value === undefined) throw new JsonProblem(`${place} needs ${name}`);
  return value;
}

/** An issuer with its keys at hand. */
export interface Issuer {
  readonly options: IssuerOptions;
  /** The one place where an algorithm meets a key: absent algorithms are refused. */
  readonly sources: ReadonlyMap<string, KeySource>;
  readonly remote: RemoteKeys | undefined;
}

/** Throws, with a message for the operator, where the options contradict themselves or let two issuers mean the same user. */
export function openIssuers(
  all: readonly IssuerOptions[],
  fetchOptions: FetchOptions,
  report: (event: KeyEvent) => void,
): readonly Issuer[] {
  if (all.length === 0) throw new Error('no issuer of tokens is configured');
  for (const [index, options] of all.entries()) {
    const others = all.slice(0, index);
    if (all.length > 1) checkAmong(options, others, index);
  }
  return all.map((options) => openIssuer(options, fetchOptions, report));
}

function checkAmong(options: IssuerOptions, before: readonly IssuerOptions[], index: number): void {
  const { issuer, userPrefix } = options;
  if (!issuer) throw new Error(`issuer ${index + 1} of several needs its iss`);
  if (index > 0 && userPrefix === '') throw new Error(`issuer ${issuer} needs a user prefix`);
  if (!userPrefix.isWellFormed())
    throw new Error(`the user prefix of ${issuer} is not well-formed`);
  for (const other of before) {
    if (other.issuer === issuer) throw new Error(`issuer ${issuer} is configured twice`);
    const [short, long] = [other.userPrefix, userPrefix].sort((a, b) => a.length - b.length);
    if (short && long?.startsWith(short)) {
      throw new Error(
        `the user prefix ${JSON.stringify(long)} begins with another's, ${JSON.stringify(short)}: two issuers could mean the same user`,
      );
    }
  }
}

function openIssuer(
  options: IssuerOptions,
  fetchOptions: FetchOptions,
  report: (event: KeyEvent) => void,
): Issuer {
  const { issuer, audience, secrets, jwksUrl, discover } = options;
  if (issuer === '' || audience.includes('')) throw new Error('iss and aud cannot be empty');
  const sources = new Map<string, KeySource>();
  let remote: RemoteKeys | undefined;
  if (secrets.length > 0) offer(sources, new SecretKeys(secrets));
  if (jwksUrl !== undefined) {
    remote = new RemoteKeys({ jwksUrl }, fetchOptions, report);
  } else if (discover) {
    if (issuer === undefined) throw new Error('discovery needs the issuer');
    remote = new RemoteKeys({ issuer }, fetchOptions, report);
  }
  if (remote !== undefined) offer(sources, remote);
  if (sources.size === 0)
    throw new Error(`${issuer ?? 'the issuer'} has neither secret nor key set`);
  return { options, sources, remote };
}

function offer(sources: Map<string, KeySource>, source: KeySource): void {
  for (const algorithm of source.algorithms) sources.set(algorithm, source);
}

/**
 * Whether `user`, prefixed already, can only come from `issuer`: it begins with no other one's prefix.
 * For issuers with a prefix that follows from the check at start; it guards the one without.
 */
export function isUnmistakable(user: string, issuer: Issuer, all: readonly Issuer[]): boolean {
  return all.every((other) => {
    const prefix = other.options.userPrefix;
    return other === issuer || prefix === '' || !user.startsWith(prefix);
  });
}

/** What an operator should hear at start, one sentence each; names settings' meaning, never a secret. */
export function issuerWarnings(all: readonly IssuerOptions[]): readonly string[] {
  const warnings: string[] = [];
  for (const { issuer, audience, secrets, jwksUrl, discover } of all) {
    const of = issuer === undefined ? '' : ` of ${issuer}`;
    for (const [index, secret] of secrets.entries()) {
      const warning = secretWarning(secret);
      const which = index === 0 ? 'the shared secret' : 'the previous shared secret';
      if (warning !== undefined) warnings.push(`${which}${of} ${warning}`);
    }
    if ((discover || jwksUrl !== undefined) && audience.length === 0) {
      warnings.push(
        `no audience is configured: a token that ${issuer ?? 'the issuer'} signed for another application is accepted here too`,
      );
    }
  }
  return warnings;
}
