/** Reads from the settings who may sign tokens and what is asked of them. */

import { type IssuerOptions, parseIssuers } from '../auth/issuers.ts';
import { defaultFetchOptions } from '../auth/jwks.ts';
import { defaultVerifierOptions, type VerifierOptions } from '../auth/token.ts';
import { StartError } from './lifecycle.ts';
import { isUrl } from './setting.ts';
import type { Config } from './settings.ts';

/** Whether no key is configured, so that the broker makes a secret of its own. */
export function needsOwnSecret(config: Config): boolean {
  const { jwtSecret, jwtSecretPrevious, jwtJwksUrl, jwtIssuer, jwtIssuers } = config;
  return [jwtSecret, jwtSecretPrevious, jwtJwksUrl, jwtIssuer, jwtIssuers].every(
    (value) => value === undefined,
  );
}

/** `ownSecret` is the one of the data folder, where `needsOwnSecret`. Throws `StartError`. */
export function verifierOptions(config: Config, ownSecret: string | undefined): VerifierOptions {
  return {
    ...defaultVerifierOptions,
    issuers: [firstIssuer(config, ownSecret), ...furtherIssuers(config)],
    claims: { user: config.jwtClaimUser, role: config.jwtClaimRole, acl: config.jwtClaimAcl },
    requireExpiry: config.jwtRequireExp,
    leewaySeconds: config.jwtLeewaySeconds,
    maximumLifetimeSeconds: config.jwtMaximumLifetimeSeconds || undefined,
    fetch: { ...defaultFetchOptions, allowInsecure: config.jwtAllowInsecureUrls },
  };
}

function firstIssuer(config: Config, ownSecret: string | undefined): IssuerOptions {
  const { jwtSecret, jwtSecretPrevious, jwtJwksUrl, jwtIssuer, jwtAudience } = config;
  const secrets = [jwtSecret ?? ownSecret, jwtSecretPrevious].filter((each) => each !== undefined);
  const discover = secrets.length === 0 && jwtJwksUrl === undefined;
  if (discover && jwtIssuer === undefined) {
    throw new StartError(
      'JWT_ISSUERS are further issuers: JWT_ISSUER or JWT_SECRET must say who is the first',
    );
  }
  if (discover && !isUrl('https:', 'http:')(jwtIssuer ?? '')) {
    throw new StartError(
      `JWT_ISSUER is ${JSON.stringify(jwtIssuer)}, which is no URL to find keys at: set JWT_JWKS_URL or JWT_SECRET`,
    );
  }
  return {
    issuer: jwtIssuer,
    audience: jwtAudience,
    secrets,
    jwksUrl: jwtJwksUrl,
    discover,
    userPrefix: '',
    mayGrant: true,
  };
}

function furtherIssuers(config: Config): readonly IssuerOptions[] {
  if (config.jwtIssuers === undefined) return [];
  try {
    return parseIssuers(config.jwtIssuers);
  } catch (error) {
    throw new StartError(`JWT_ISSUERS: ${(error as Error).message}`);
  }
}
