/** Hostile tokens by their form: algorithm, signature, header, and what is no token at all. */

import { bad, badSignature, byBoth, byKeys, type TokenCase, trap } from './token-case.ts';
import {
  anotherSecret,
  base64url,
  goodClaims,
  jwk,
  mint,
  mintEdDsa,
  mintEs256,
  mintFor,
  mintRs256,
  nowSeconds,
  otherRsa,
  rsa,
  secret,
} from './tokens.ts';

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

export const signatureCases = [algorithms, signatures, headers, forms].flat();
