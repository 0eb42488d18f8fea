/** A hostile token, who checks it, and why it is refused. */
import type { Verifier } from '../../core/auth/token.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { anotherSecret, KeyServer, secretIssuer, verifierOf } from './tokens.ts';

export const keyServer = new KeyServer();
/** The attacker's: whoever fetches a key from it has lost. */
export const trap = new KeyServer();

export const iss = 'https://id.example.com/';
export const bySecret = verifierOf([secretIssuer]);
export const byKeys = verifierOf([{ ...secretIssuer, secrets: [], jwksUrl: keyServer.origin }]);
export const byBoth = verifierOf([{ ...secretIssuer, jwksUrl: keyServer.origin }]);
export const strict = verifierOf([{ ...secretIssuer, issuer: iss, audience: ['bellhop'] }]);
export const twoIssuers = verifierOf([
  { ...secretIssuer, issuer: iss },
  {
    ...secretIssuer,
    issuer: 'https://partner.example.com/',
    secrets: [anotherSecret],
    userPrefix: 'partner:',
    mayGrant: false,
  },
]);

export interface TokenCase {
  readonly name: string;
  readonly token: string;
  readonly by: Verifier;
  readonly reasonCode: ReasonCode;
  readonly detail: string;
}

/** A token that is no good: 0x86. */
export const bad = (name: string, token: string, detail: string, by = bySecret): TokenCase => ({
  name,
  token,
  by,
  reasonCode: ReasonCode.BadUserNameOrPassword,
  detail,
});
/** One that is genuine, but not now or not for us: 0x87. */
export const denied = (name: string, token: string, detail: string, by = bySecret): TokenCase => ({
  ...bad(name, token, detail, by),
  reasonCode: ReasonCode.NotAuthorized,
});

export const badSignature = 'bad signature';
