/**
 * What it costs to check a token: the verifier as the broker asks it, beside the HMAC alone, which is what no
 * checking can do without. Prints microseconds of processor time a token, with as many checks under way
 * as a poll of the event loop brings.
 *
 *     bun scripts/token-cost.ts
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { SignJWT } from 'jose';
import { createVerifier, defaultVerifierOptions } from '../core/auth/token.ts';

const TOKENS = 20_000;
const UNDER_WAY = 64;
const ROUNDS = 4;
const secret = 'a secret of this script alone, 32 bytes';
const key = new TextEncoder().encode(secret);

const tokens: string[] = [];
for (let index = 0; index < TOKENS; index++) {
  const token = new SignJWT({ sub: `user-${index}` }).setProtectedHeader({ alg: 'HS256' });
  tokens.push(await token.setIssuedAt().setExpirationTime('1h').sign(key));
}
const verifier = createVerifier({
  ...defaultVerifierOptions,
  issuers: [
    {
      ...{ issuer: undefined, audience: [], secrets: [secret], jwksUrl: undefined },
      ...{ discover: false, userPrefix: '', mayGrant: true },
    },
  ],
});

async function whole(token: string): Promise<boolean> {
  return (await verifier.verify(token, Date.now())).kind === 'accept';
}

async function hmacAlone(token: string): Promise<boolean> {
  const end = token.lastIndexOf('.');
  const mac = createHmac('sha256', key).update(token.slice(0, end)).digest();
  return timingSafeEqual(mac, Buffer.from(token.slice(end + 1), 'base64url'));
}

async function measure(check: (token: string) => Promise<boolean>): Promise<number> {
  const before = process.cpuUsage();
  for (let begin = 0; begin < TOKENS; begin += UNDER_WAY) {
    const verdicts = await Promise.all(tokens.slice(begin, begin + UNDER_WAY).map(check));
    if (verdicts.includes(false)) throw new Error('a good token was refused');
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / TOKENS;
}

console.log('microseconds a token: the verifier, the HMAC alone');
for (let round = 1; round <= ROUNDS; round++) {
  const [verified, bare] = [await measure(whole), await measure(hmacAlone)];
  console.log(`round ${round}: ${verified.toFixed(1)}, ${bare.toFixed(1)}`);
}
