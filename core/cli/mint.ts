/**
 * Mints development tokens with the shared secret of this machine. In production tokens come from
 * whoever signs users in.
 */
import { SignJWT } from 'jose';
import { readSecret, secretPath } from '../ops/data-folder.ts';
import { StartError } from '../ops/lifecycle.ts';
import type { Config } from '../ops/settings.ts';

export const roles = ['device', 'handler', 'admin'] as const;

export interface TokenClaims {
  readonly user: string;
  readonly role: (typeof roles)[number];
  /** Undefined for a token that never expires. */
  readonly expiresInSeconds: number | undefined;
  /** The acl claim as it goes into the token. */
  readonly acl: unknown;
}

/** Throws `StartError` where there is no shared secret to sign with. */
export function mint(config: Config, claims: TokenClaims): Promise<string> {
  const secret = config.jwtSecret ?? readSecret(config.dataDir);
  if (secret === undefined) {
    throw new StartError(
      `there is no shared secret to sign with: set JWT_SECRET, or start the broker once so that it makes ${secretPath(config.dataDir)}`,
    );
  }
  const token = new SignJWT({
    [config.jwtClaimUser]: claims.user,
    ...(claims.role === 'device' ? {} : { [config.jwtClaimRole]: claims.role }),
    ...(claims.acl === undefined ? {} : { [config.jwtClaimAcl]: claims.acl }),
  })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuedAt();
  if (claims.expiresInSeconds !== undefined) token.setExpirationTime(`${claims.expiresInSeconds}s`);
  if (config.jwtIssuer !== undefined) token.setIssuer(config.jwtIssuer);
  const [audience] = config.jwtAudience;
  if (audience !== undefined) token.setAudience(audience);
  return token.sign(new TextEncoder().encode(secret));
}

const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Seconds of `90s`, `30m`, `1h` or `7d`; undefined where `text` is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^([1-9]\d{0,6})([smhd])$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * unitSeconds[match[2] as keyof typeof unitSeconds];
}
