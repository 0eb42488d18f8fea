/** Hostile tokens by what they claim: times, audience, identity, rights, and the issuer's part. */

import {
  bad,
  badSignature,
  denied,
  iss,
  strict,
  type TokenCase,
  twoIssuers,
} from './token-case.ts';
import { anotherSecret, goodClaims, mint, mintFor, nowSeconds, secret } from './tokens.ts';

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

export const claimCases = [times, audiences, identities, acls, issuers].flat();
