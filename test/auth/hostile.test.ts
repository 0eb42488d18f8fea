/**
 * Hostile cases, first part: what a token may try, and what somebody with a good token may try. Each
 * row is one attempt and its outcome; what needs a running broker is tested with the broker.
 */
import { afterAll, describe, expect, test } from 'bun:test';
import { claimCases } from './hostile-claims.ts';
import { rightsCases } from './hostile-rights.ts';
import { signatureCases } from './hostile-signatures.ts';
import { bySecret, keyServer, trap } from './token-case.ts';
import { anotherSecret, goodClaims, mint, nowMs, secret } from './tokens.ts';
import { rightsOf } from './who.ts';

const tokenCases = [...signatureCases, ...claimCases];

afterAll(async () => {
  await keyServer[Symbol.asyncDispose]();
  await trap[Symbol.asyncDispose]();
});

describe('a hostile token is refused:', () => {
  test.each(tokenCases)('$name', async ({ token, by, reasonCode, detail }) => {
    expect(await by.verify(token, nowMs)).toEqual({ kind: 'refuse', reasonCode, detail });
    // The same again, in case the first answer was remembered.
    expect(await by.verify(token, nowMs)).toEqual({ kind: 'refuse', reasonCode, detail });
  });

  test('and its answer holds no piece of it, nor of a secret', async () => {
    for (const { name, token, by } of tokenCases) {
      const verdict = JSON.stringify(await by.verify(token, nowMs));
      for (const part of [...token.split('.'), secret, anotherSecret]) {
        const piece = part.slice(0, 12);
        if (piece.length === 12) expect([name, verdict.includes(piece)]).toEqual([name, false]);
      }
    }
  });

  test('and no key was fetched from where it said', () => {
    expect(trap.count).toBe(0);
    expect(keyServer.count).toBeGreaterThan(0);
  });
});

describe('an odd token is taken for what it says, and no more:', () => {
  const accepted = [
    {
      name: 'the last of two subs',
      claims: `{"sub":"1","sub":"2","exp":${goodClaims.exp}}`,
      identity: { user: '2', role: 'device' },
    },
    {
      name: 'a role under a name of its own',
      claims: { ...goodClaims, Role: 'admin', roles: ['admin'], 'https://x/role': 'admin' },
      identity: { role: 'device' },
    },
    {
      name: 'a role inherited from __proto__',
      claims: `{"sub":"1","exp":${goodClaims.exp},"__proto__":{"role":"admin","acl":{"sub":["#"]}}}`,
      identity: { role: 'device', grants: undefined },
    },
    {
      name: 'a sub of control characters',
      claims: { ...goodClaims, sub: 'a\u0001\r\nb' },
      identity: { user: 'a\u0001\r\nb' },
    },
  ];
  test.each(accepted)('$name', async ({ claims, identity }) => {
    expect(await bySecret.verify(mint({ claims }), nowMs)).toMatchObject({
      kind: 'accept',
      identity,
    });
  });
});

describe('a hostile attempt comes to nothing:', () => {
  test.each(rightsCases)('$name', ({ who, attempt, outcome }) => {
    const { rights, publish, subscribe, receive } = rightsOf(who);
    const [verb, topic = '', reach = 0] = attempt;
    const outcomes = {
      subscribe: () => subscribe(topic),
      share: () => subscribe(topic, true),
      publish: () => publish(topic),
      receive: () => receive(topic, reach),
      retain: () => rights.mayRetain,
    };
    expect(outcomes[verb]()).toBe(outcome);
  });
});

test('every case has a name of its own, and there are as many as were asked for', () => {
  const names = [...tokenCases, ...rightsCases].map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  expect(names.length).toBeGreaterThanOrEqual(45);
  console.info(`hostile cases of tokens and rights: ${names.length}`);
});
