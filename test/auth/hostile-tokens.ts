/** Hostile tokens: each row is one token, who checks it, and why it is refused. */
import type { Verifier } from '../../core/auth/token.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import {
  anotherSecret,
  base64url,
  goodClaims,
  jwk,
  KeyServer,
  mint,
  mintEdDsa,
  mintEs256,
  mintFor,
  mintRs256,
  nowSeconds,
  otherRsa,
  rsa,
  secret,
  secretIssuer,
  verifierOf,
} from './tokens.ts';

export const keyServer = new KeyServer();
/** The attacker's: whoever fetches a key from it has lost. */
export const trap = new KeyServer();

const iss = 'https://id.example.com/';
export const bySecret = verifierOf([secretIssuer]);
const byKeys = verifierOf([{ ...secretIssuer, secrets: [], jwksUrl: keyServer.origin }]);
const byBoth = verifierOf([{ ...secretIssuer, jwksUrl: keyServer.origin }]);
const strict = verifierOf([{ ...secretIssuer, issuer: iss, audience: ['bellhop'] }]);
const twoIssuers = verifierOf([
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
const bad = (name: string, token: string, detail: string, by = bySecret): TokenCase => ({
  name,
  token,
  by,
  reasonCode: ReasonCode.BadUserNameOrPassword,
  detail,
});
/** One that is genuine, but not now or not for us: 0x87. */
const denied = (name: string, token: string, detail: string, by = bySecret): TokenCase => ({
  ...bad(name, token, detail, by),
  reasonCode: ReasonCode.NotAuthorized,
});

const unsigned = (header: object, claims: object = goodClaims) =>
  `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}.`;
const [goodHeader, goodPayload, goodSignature] = mint().split('.') as [string, string, string];
const spki = (key: typeof rsa.publicKey) => key.export({ format: 'pem', type: 'spki' }) as string;
/** A token signed with the attacker's RSA key, whose header helpfully says where to find it. */
const selfMade = (header: object) =>
  mintRs256({ header: { alg: 'RS256', kid: 'rsa-1', ...header } }, otherRsa.privateKey);
const es256Of = (signature: Uint8Array) =>
  `${mintEs256().split('.').slice(0, 2).join('.')}.${base64url(signature)}`;
const rsSignedBySecret = (key: string) => mint({ header: { alg: 'RS256', kid: 'rsa-1' } }, key);
const evil = { jwk: jwk(otherRsa.publicKey, {}), url: `${trap.origin}/keys` };

const notAccepted = 'algorithm not accepted';
const badSignature = 'bad signature';
const unknownKey = 'unknown key';
const malformed = 'token malformed';

const algorithms: readonly TokenCase[] = [
  bad('alg none', unsigned({ alg: 'none' }), notAccepted),
  bad('alg None', unsigned({ alg: 'None' }), notAccepted),
  bad('alg NONE', unsigned({ alg: 'NONE' }), notAccepted),
  bad('alg nOnE', unsigned({ alg: 'nOnE' }), notAccepted),
  bad('alg none, where keys are published', unsigned({ alg: 'none' }), notAccepted, byKeys),
  bad('alg none with a good signature', mint({ header: { alg: 'none' } }), notAccepted),
  bad('an empty alg', unsigned({ alg: '' }), notAccepted),
  bad('no alg', unsigned({ typ: 'JWT' }), malformed),
  bad('a list of alg', mint({ header: { alg: ['HS256'] } }), malformed),
  bad('alg null', mint({ header: { alg: null } }), malformed),
  bad('alg in lower case', mint({ header: { alg: 'hs256' } }), notAccepted),
  bad('alg with a blank behind it', mint({ header: { alg: 'HS256 ' } }), notAccepted),
  bad('alg constructor', mint({ header: { alg: 'constructor' } }), notAccepted),
  bad('HS256 named HS512', mint({ header: { alg: 'HS512' } }), badSignature),
  bad('RS256, where only a secret is configured', mintRs256(), notAccepted),
  bad('HS256, where only published keys are configured', mint(), notAccepted, byKeys),
  bad('HS256 with the public key as secret', mint({}, spki(rsa.publicKey)), notAccepted, byKeys),
  bad('the same beside a configured secret', mint({}, spki(rsa.publicKey)), badSignature, byBoth),
  bad(
    'the same without its last line feed',
    mint({}, spki(rsa.publicKey).trim()),
    badSignature,
    byBoth,
  ),
  bad(
    'the public key’s DER as secret',
    mint({}, rsa.publicKey.export({ format: 'der', type: 'spki' })),
    badSignature,
    byBoth,
  ),
  bad(
    'the public key’s JWK as secret',
    mint({}, JSON.stringify(jwk(rsa.publicKey, {}))),
    badSignature,
    byBoth,
  ),
  bad(
    'an HMAC with the public key named RS256',
    rsSignedBySecret(spki(rsa.publicKey)),
    badSignature,
    byBoth,
  ),
  bad('an HMAC with the secret named RS256', rsSignedBySecret(secret), badSignature, byBoth),
  bad(
    'an RS256 signature named PS256',
    mintRs256({ header: { alg: 'PS256', kid: 'rsa-1' } }),
    badSignature,
    byKeys,
  ),
  bad(
    'an EC key named for RS256',
    mintRs256({ header: { alg: 'RS256', kid: 'ec-1' } }),
    unknownKey,
    byKeys,
  ),
  bad(
    'encryption in place of a signature',
    `${base64url('{"alg":"dir","enc":"A128GCM"}')}..a.b.c`,
    notAccepted,
  ),
];

const signatures: readonly TokenCase[] = [
  bad('another secret', mint({}, anotherSecret), badSignature),
  bad('an empty secret', mint({}, ''), badSignature),
  bad('no signature', `${goodHeader}.${goodPayload}.`, badSignature),
  bad(
    'half a signature',
    `${goodHeader}.${goodPayload}.${goodSignature.slice(0, 20)}`,
    badSignature,
  ),
  bad(
    'a signature of NULs',
    `${goodHeader}.${goodPayload}.${base64url(new Uint8Array(32))}`,
    badSignature,
  ),
  bad(
    'the signature of another token',
    `${mintFor({ sub: '2' }).split('.').slice(0, 2).join('.')}.${goodSignature}`,
    badSignature,
  ),
  bad(
    'an expired token nobody signed is bad, not expired',
    mint({ claims: { sub: '1', exp: 1 } }, anotherSecret),
    badSignature,
  ),
  bad(
    'an ES256 signature of zeros (CVE-2022-21449)',
    es256Of(new Uint8Array(64)),
    badSignature,
    byKeys,
  ),
  bad('an empty ES256 signature', es256Of(new Uint8Array(0)), badSignature, byKeys),
  bad(
    'an EdDSA signature of zeros',
    `${mintEdDsa().split('.').slice(0, 2).join('.')}.${base64url(new Uint8Array(64))}`,
    badSignature,
    byKeys,
  ),
];

const headers: readonly TokenCase[] = [
  bad(
    'kid is a path',
    mintRs256({ header: { alg: 'RS256', kid: '../../../../dev/null' } }),
    unknownKey,
    byKeys,
  ),
  bad(
    'kid is a path to nothing, signed with nothing',
    mint({ header: { alg: 'HS256', kid: '/dev/null' } }, ''),
    badSignature,
  ),
  bad(
    'kid is SQL',
    mintRs256({ header: { alg: 'RS256', kid: "x' union select 'secret'--" } }),
    unknownKey,
    byKeys,
  ),
  bad('kid with NUL', mintRs256({ header: { alg: 'RS256', kid: 'rsa-1\0' } }), unknownKey, byKeys),
  bad('kid is a list', mintRs256({ header: { alg: 'RS256', kid: ['rsa-1'] } }), unknownKey, byKeys),
  bad(
    'kid is an object',
    mintRs256({ header: { alg: 'RS256', kid: { $ne: '' } } }),
    unknownKey,
    byKeys,
  ),
  bad('kid is null', mintRs256({ header: { alg: 'RS256', kid: null } }), unknownKey, byKeys),
  bad(
    'kid is a URL',
    mintRs256({ header: { alg: 'RS256', kid: `${trap.origin}/keys` } }),
    unknownKey,
    byKeys,
  ),
  bad(
    'kid __proto__',
    mintRs256({ header: '{"alg":"RS256","kid":"__proto__"}' }),
    unknownKey,
    byKeys,
  ),
  bad('an embedded jwk', selfMade({ jwk: evil.jwk }), badSignature, byKeys),
  bad(
    'an embedded jwk without kid',
    selfMade({ jwk: evil.jwk, kid: undefined }),
    badSignature,
    byKeys,
  ),
  bad(
    'an embedded secret',
    mint({ header: { alg: 'HS256', jwk: { kty: 'oct', k: base64url('x') } } }, 'x'),
    badSignature,
  ),
  bad('jku', selfMade({ jku: evil.url }), badSignature, byKeys),
  bad('x5u', selfMade({ x5u: evil.url }), badSignature, byKeys),
  bad('jku with an unknown kid', selfMade({ jku: evil.url, kid: 'evil' }), unknownKey, byKeys),
  bad(
    'x5c',
    selfMade({
      x5c: [otherRsa.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')],
    }),
    badSignature,
    byKeys,
  ),
  bad(
    'crit with an unknown extension',
    mint({ header: { alg: 'HS256', crit: ['sudo'], sudo: true } }),
    malformed,
  ),
  bad('an empty crit', mint({ header: { alg: 'HS256', crit: [] } }), malformed),
  bad(
    'crit exp',
    mint({ header: { alg: 'HS256', crit: ['exp'], exp: nowSeconds + 60 } }),
    malformed,
  ),
  bad(
    'an unencoded payload',
    mint({ header: { alg: 'HS256', crit: ['b64'], b64: false } }),
    malformed,
  ),
  bad('a header that is a list', mint({ header: [] }), malformed),
  bad('a header that is null', mint({ header: 'null' }), malformed),
  bad(
    'a header of 20 KB',
    mint({ header: { alg: 'HS256', x: 'x'.repeat(20_000) } }),
    'token too long',
  ),
  bad(
    'a header 5,000 levels deep',
    mint({ header: `{"alg":"HS256","x":${'['.repeat(5000)}${']'.repeat(5000)}}`, claims: {} }),
    'the token has no exp',
  ),
  bad('a header of opening brackets', mint({ header: '['.repeat(8000), claims: {} }), malformed),
];

const forms: readonly TokenCase[] = [
  bad('nothing', '', 'no token'),
  bad('text', 'let me in', malformed),
  bad('two dots', '..', malformed),
  bad('two parts', `${goodHeader}.${goodPayload}`, malformed),
  bad('four parts', `${mint()}.${goodSignature}`, malformed),
  bad('ten parts', Array.from({ length: 10 }, () => goodHeader).join('.'), malformed),
  bad('sixteen thousand dots', '.'.repeat(16_000), malformed),
  bad('two tokens', `${mint()},${mint()}`, malformed),
  bad('Bearer before it', `Bearer ${mint()}`, malformed),
  bad(
    'a JSON serialization',
    JSON.stringify({ protected: goodHeader, payload: goodPayload, signature: goodSignature }),
    malformed,
  ),
  bad('a payload that is no base64url', `${goodHeader}.!!!.${goodSignature}`, badSignature),
  bad('a payload that is no JSON', mint({ claims: 'sub=1' }), malformed),
  bad('a payload that is a list', mint({ claims: [goodClaims] }), malformed),
  bad('a payload that is null', mint({ claims: 'null' }), malformed),
  bad('a payload of opening brackets', mint({ claims: '['.repeat(8000) }), malformed),
  bad('a megabyte', 'e'.repeat(1_000_000), 'token too long'),
];

const times: readonly TokenCase[] = [
  denied('expired', mintFor({ exp: nowSeconds - 1 }), 'token expired'),
  denied('expires this very second', mintFor({ exp: nowSeconds }), 'token expired'),
  denied('expired before 1970', mintFor({ exp: -1 }), 'token expired'),
  denied('not yet valid', mintFor({ nbf: nowSeconds + 1 }), 'token not yet valid'),
  bad('no exp', mint({ claims: { sub: '1' } }), 'the token has no exp'),
  bad('exp null', mintFor({ exp: null }), 'exp must be a time in seconds'),
  bad('exp as text', mintFor({ exp: `${nowSeconds + 60}` }), 'exp must be a time in seconds'),
  bad('exp in a list', mintFor({ exp: [nowSeconds + 60] }), 'exp must be a time in seconds'),
  bad(
    'exp 1e999, which is Infinity',
    mint({ claims: '{"sub":"1","exp":1e999}' }),
    'exp must be a time in seconds',
  ),
  bad('nbf as text', mintFor({ nbf: '0' }), 'nbf must be a time in seconds'),
  bad('iat as text', mintFor({ iat: 'now' }), 'iat must be a time in seconds'),
];

const audiences: readonly TokenCase[] = [
  denied('wrong aud', mintFor({ iss, aud: 'other' }), 'wrong audience', strict),
  denied('no aud', mintFor({ iss }), 'wrong audience', strict),
  denied('aud that only begins alike', mintFor({ iss, aud: 'bellhop2' }), 'wrong audience', strict),
  denied('aud as an object', mintFor({ iss, aud: { 0: 'bellhop' } }), 'wrong audience', strict),
  denied(
    'wrong iss',
    mintFor({ iss: 'https://evil.example.com/', aud: 'bellhop' }),
    'wrong issuer',
    strict,
  ),
  denied('no iss', mintFor({ aud: 'bellhop' }), 'wrong issuer', strict),
  denied(
    'iss without its slash',
    mintFor({ iss: iss.slice(0, -1), aud: 'bellhop' }),
    'wrong issuer',
    strict,
  ),
  denied('iss in a list', mintFor({ iss: [iss], aud: 'bellhop' }), 'wrong issuer', strict),
];

const user = 'sub must be well-formed text without U+0000, of 255 bytes at most';
const role = 'role must be device, handler or admin';
const identities: readonly TokenCase[] = [
  bad('no sub', mint({ claims: { exp: goodClaims.exp } }), 'the token has no sub'),
  bad('empty sub', mintFor({ sub: '' }), 'sub is empty'),
  bad('sub as a number', mintFor({ sub: 423144 }), 'sub must be a string'),
  bad('sub null', mintFor({ sub: null }), 'sub must be a string'),
  bad('sub true', mintFor({ sub: true }), 'sub must be a string'),
  bad('sub in a list', mintFor({ sub: ['423144'] }), 'sub must be a string'),
  bad('sub as an object', mintFor({ sub: { toString: '423144' } }), 'sub must be a string'),
  bad('sub with half a surrogate pair', mintFor({ sub: '1\ud800' }), user),
  bad('sub with U+0000', mintFor({ sub: 'a\0b' }), user),
  bad('sub of 256 bytes', mintFor({ sub: 'x'.repeat(256) }), user),
  bad('sub of 254 letters and an umlaut', mintFor({ sub: `${'x'.repeat(254)}ü` }), user),
  bad('a list of roles', mintFor({ role: ['admin'] }), role),
  bad('a role in capitals', mintFor({ role: 'ADMIN' }), role),
  bad('a role with a blank', mintFor({ role: 'admin ' }), role),
  bad('an unknown role', mintFor({ role: 'root' }), role),
  bad('role null', mintFor({ role: null }), role),
  bad('role true', mintFor({ role: true }), role),
  bad('an empty role', mintFor({ role: '' }), role),
];

const acls: readonly TokenCase[] = [
  bad('acl null', mintFor({ acl: null }), 'acl must be an object'),
  bad('acl as text', mintFor({ acl: '#' }), 'acl must be an object'),
  bad('acl as a list', mintFor({ acl: ['#'] }), 'acl must be an object'),
  bad(
    'acl with more than there is',
    mintFor({ acl: { pub: [], admin: true } }),
    'acl may have pub, sub, retain and share, and nothing else',
  ),
  bad('acl.sub as text', mintFor({ acl: { sub: '#' } }), 'acl.sub must be a list of Topic Filters'),
  bad(
    'acl.pub as an object',
    mintFor({ acl: { pub: { length: 1, 0: '#' } } }),
    'acl.pub must be a list of Topic Filters',
  ),
  bad('acl.sub with a number', mintFor({ acl: { sub: ['a', 1] } }), 'acl.sub[1] must be a string'),
  bad(
    'acl.sub with what is no filter',
    mintFor({ acl: { sub: ['a#'] } }),
    'acl.sub[0]: no Topic Filter',
  ),
  bad(
    'acl.sub with an empty filter',
    mintFor({ acl: { sub: [''] } }),
    'acl.sub[0]: no Topic Filter',
  ),
  bad('acl.sub with NUL', mintFor({ acl: { sub: ['a\0b'] } }), 'acl.sub[0]: no Topic Filter'),
  bad(
    'acl.sub with $share',
    mintFor({ acl: { sub: ['$share/g/#'] } }),
    'acl.sub[0]: a grant names the filter without $share/<group>/',
  ),
  bad(
    'acl.pub with another placeholder',
    mintFor({ acl: { pub: ['${sub}/x'] } }),
    'acl.pub[0]: only ${user} and ${client} are replaced',
  ),
  bad(
    'acl.retain as text',
    mintFor({ acl: { retain: 'false' } }),
    'acl.retain must be true or false',
  ),
  bad('acl.share as a number', mintFor({ acl: { share: 0 } }), 'acl.share must be true or false'),
];

const partnerToken = (claims: object, key = anotherSecret) =>
  mint({ claims: { ...goodClaims, iss: 'https://partner.example.com/', ...claims } }, key);
const mayNotGive = 'this issuer may not give a role or an acl';
const issuers: readonly TokenCase[] = [
  bad(
    'a user id of the first issuer that spells one of the second',
    mintFor({ iss, sub: 'partner:1' }),
    'sub begins with the user prefix of another issuer',
    twoIssuers,
  ),
  bad(
    'the second issuer’s key for the first',
    mint({ claims: { ...goodClaims, iss } }, anotherSecret),
    badSignature,
    twoIssuers,
  ),
  bad('the first issuer’s key for the second', partnerToken({}, secret), badSignature, twoIssuers),
  bad('an admin by the second issuer', partnerToken({ role: 'admin' }), mayNotGive, twoIssuers),
  bad('an acl by the second issuer', partnerToken({ acl: { sub: ['#'] } }), mayNotGive, twoIssuers),
  bad('an empty sub behind a prefix', partnerToken({ sub: '' }), 'sub is empty', twoIssuers),
  bad(
    'a sub that its prefix makes too long',
    partnerToken({ sub: 'x'.repeat(250) }),
    user,
    twoIssuers,
  ),
  denied('a third issuer', mintFor({ iss: 'third' }), 'wrong issuer', twoIssuers),
  denied('no issuer among two', mintFor({}), 'wrong issuer', twoIssuers),
  denied(
    'two issuers at once',
    mintFor({ iss: [iss, 'https://partner.example.com/'] }),
    'wrong issuer',
    twoIssuers,
  ),
];

export const tokenCases = [
  algorithms,
  signatures,
  headers,
  forms,
  times,
  audiences,
  identities,
  acls,
  issuers,
].flat();
