import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { fillGrant, grantProblem } from '../../core/auth/grants.ts';
import { type Role, staffReach } from '../../core/auth/rights.ts';
import { encodeUser, isOwnTopic } from '../../core/auth/user-topic.ts';
import { matches, type TopicFilter, type TopicName } from '../../core/mqtt/topic.ts';
import { seed } from '../seed.ts';
import { filters, separators, topics, topicUnder, users } from './generators.ts';
import { grant, rightsOf } from './who.ts';

fc.configureGlobal({ seed });

describe('a device by default', () => {
  const { rights, commands, publish, subscribe, receive } = rightsOf({});

  test('publishes declared commands, to staff alone, and nothing else', () => {
    expect(publish('request_contact')).toBe(0);
    for (const topic of ['1_x', '2_x', 'x', '$SYS/x', '$token', '$share/g/request_contact']) {
      expect([topic, publish(topic)]).toEqual([topic, undefined]);
    }
  });

  test('may publish a command from the moment it is declared to the moment it is not', () => {
    expect(publish('accept_contact')).toBeUndefined();
    commands.add('accept_contact' as TopicFilter);
    expect(publish('accept_contact')).toBe(0);
    commands.remove('accept_contact' as TopicFilter);
    expect(publish('accept_contact')).toBeUndefined();
  });

  test('subscribes to its own user topics, and never in a shared group', () => {
    expect(subscribe('1_contact_list')).toBe(2);
    expect(subscribe('1_chat/#')).toBe(2);
    for (const filter of ['#', '+', '+/x', '2_x', 'request_contact', '$SYS/#', '1', '1/#']) {
      expect([filter, subscribe(filter)]).toEqual([filter, undefined]);
    }
    expect(subscribe('1_contact_list', true)).toBeUndefined();
  });

  test('receives on its own topics what staff sent, and not what a device published', () => {
    expect(receive('1_x', 2)).toBe(true);
    expect(receive('1_x', 1)).toBe(false);
    expect(receive('1_x', 0)).toBe(false);
    expect(receive('2_x', 2)).toBe(false);
    expect(receive('request_contact', 2)).toBe(false);
  });

  test('may not retain', () => {
    expect(rights.mayRetain).toBe(false);
  });
});

describe('a handler by default', () => {
  const { rights, publish, subscribe, receive } = rightsOf({ role: 'handler' });

  test('publishes everything but $…', () => {
    expect(publish('23412_contact_requested')).toBe(2);
    for (const topic of ['$SYS', '$SYS/x', '$share/g/x', '$x', '$token']) {
      expect([topic, publish(topic)]).toEqual([topic, undefined]);
    }
  });

  test('subscribes to everything but $SYS, shared or not', () => {
    for (const filter of ['#', '+/x', 'request_contact', '$app/#', '$SYSTEM']) {
      expect([filter, subscribe(filter), subscribe(filter, true)]).toEqual([filter, 0, 0]);
    }
    for (const filter of ['$SYS', '$SYS/#', '$SYS/+/x']) {
      expect([filter, subscribe(filter), subscribe(filter, true)]).toEqual([
        filter,
        undefined,
        undefined,
      ]);
    }
  });

  test('receives what everybody publishes, but no $SYS', () => {
    expect(receive('request_contact', 0)).toBe(true);
    expect(receive('$SYS/broker/version', 2)).toBe(false);
  });

  test('may retain', () => {
    expect(rights.mayRetain).toBe(true);
  });
});

describe('an admin by default', () => {
  const { rights, publish, subscribe, receive } = rightsOf({ role: 'admin' });

  test('publishes everything but $SYS and what is never a topic', () => {
    expect([publish('x'), publish('$app/x'), publish('$SYSTEM')]).toEqual([2, 2, 2]);
    for (const topic of ['$SYS', '$SYS/x', '$share', '$share/g/x']) {
      expect([topic, publish(topic)]).toEqual([topic, undefined]);
    }
  });

  test('subscribes to everything, and receives it', () => {
    for (const filter of ['#', '$SYS/#', '$SYS', '$app/#']) {
      expect([filter, subscribe(filter), subscribe(filter, true)]).toEqual([filter, 0, 0]);
    }
    expect(receive('$SYS/broker/version', 0)).toBe(true);
    expect(rights.mayRetain).toBe(true);
  });
});

describe('what staff publish on a declared command', () => {
  test('stops short of a device’s right to its own topics: the command wins', () => {
    for (const role of ['handler', 'admin'] as const) {
      const { publish } = rightsOf({ role });
      expect([role, publish('request_contact'), publish('request_other')]).toEqual([role, 1, 2]);
    }
    const granted = rightsOf({ role: 'handler', grants: grant({ publish: ['#'] }) });
    expect([granted.publish('request_contact'), granted.publish('x')]).toEqual([1, 2]);
    expect(staffReach('request_contact' as TopicName, granted.commands)).toBe(1);
    expect(staffReach('1_x' as TopicName, granted.commands)).toBe(2);
  });
});

describe('explicit grants', () => {
  const chat = grant({ publish: ['chat/${user}/+'], subscribe: ['chat/#', 'seen/${client}'] });

  test('replace what a device has by default', () => {
    const { publish, subscribe } = rightsOf({ grants: chat });
    expect(publish('chat/1/hello')).toBe(1);
    expect(publish('chat/2/hello')).toBeUndefined();
    expect(publish('request_contact')).toBeUndefined();
    expect(subscribe('chat/2/+')).toBe(1);
    expect(subscribe('seen/phone')).toBe(1);
    expect(subscribe('seen/tablet')).toBeUndefined();
    expect(subscribe('1_contact_list')).toBeUndefined();
  });

  test('of the token come before those of the policy, and the policy’s before the defaults', () => {
    const policy = { roles: { device: grant({ subscribe: ['news'] }) } };
    const byPolicy = rightsOf({ policy });
    expect([byPolicy.subscribe('news'), byPolicy.subscribe('1_x')]).toEqual([1, undefined]);
    const byToken = rightsOf({ policy, grants: grant({ subscribe: ['chat'] }) });
    expect([byToken.subscribe('news'), byToken.subscribe('chat')]).toEqual([undefined, 1]);
    const handler = rightsOf({ policy, role: 'handler' });
    expect(handler.subscribe('anything')).toBe(0);
  });

  test('of staff keep their standing', () => {
    const { publish, subscribe, receive } = rightsOf({ role: 'handler', grants: chat });
    expect([publish('chat/1/x'), publish('x')]).toEqual([2, undefined]);
    expect([subscribe('chat/x'), subscribe('x')]).toEqual([0, undefined]);
    expect([receive('chat/x', 0), receive('x', 2)]).toEqual([true, false]);
  });

  test('that are empty grant nothing', () => {
    const { publish, subscribe, receive } = rightsOf({ role: 'admin', grants: grant({}) });
    expect([publish('x'), subscribe('x'), receive('x', 2)]).toEqual([undefined, undefined, false]);
  });

  test('cover a filter only where they match all that it can', () => {
    const { subscribe } = rightsOf({ grants: grant({ subscribe: ['a/+/c', 'b/#', '+/d'] }) });
    for (const filter of ['a/b/c', 'a/+/c', 'b', 'b/#', 'b/+/x', '+/d', 'x/d']) {
      expect([filter, subscribe(filter)]).toEqual([filter, 1]);
    }
    for (const filter of ['a/#', 'a/+/+', '#', '+', '+/#', '+/+', '$x/d']) {
      expect([filter, subscribe(filter)]).toEqual([filter, undefined]);
    }
  });

  test('never open $SYS but to admins', () => {
    const system = grant({ publish: ['$SYS/#', '#'], subscribe: ['$SYS/#', '#'] });
    for (const role of ['device', 'handler'] as const) {
      const { publish, subscribe, receive } = rightsOf({ role, grants: system });
      expect([role, subscribe('$SYS/#'), subscribe('$SYS/x')]).toEqual([
        role,
        undefined,
        undefined,
      ]);
      expect([publish('$SYS/x'), receive('$SYS/x', 2)]).toEqual([undefined, false]);
      expect(subscribe('#')).toBeNumber();
    }
    const admin = rightsOf({ role: 'admin', grants: system });
    expect([admin.subscribe('$SYS/#'), admin.receive('$SYS/x', 0)]).toEqual([0, true]);
    expect(admin.publish('$SYS/x')).toBeUndefined();
  });

  test('allow RETAIN and $share, unless they say otherwise', () => {
    const open = rightsOf({ grants: grant({ subscribe: ['x'] }) });
    expect([open.rights.mayRetain, open.subscribe('x', true)]).toEqual([true, 1]);
    const closed = rightsOf({
      role: 'handler',
      grants: grant({ subscribe: ['x'], retain: false, share: false }),
    });
    expect([closed.rights.mayRetain, closed.subscribe('x', true)]).toEqual([false, undefined]);
    expect(closed.subscribe('x')).toBe(0);
  });

  test('let devices receive what devices with a grant published, but no command', () => {
    const { receive } = rightsOf({ grants: grant({ subscribe: ['request_contact', 'chat'] }) });
    expect([receive('chat', 2), receive('chat', 1), receive('chat', 0)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(receive('request_contact', 0)).toBe(false);
  });
});

describe('a granted filter', () => {
  test.each([
    ['chat/${user}/#', '1_2', 'c', 'chat/1%5F2/#'],
    ['${user}_x', 'auth0|7', 'c', 'auth0|7_x'],
    ['${client}/${user}/${client}', 'u', 'c', 'c/u/c'],
    ['x/${client}', 'u', '+/#', 'x/%2B%2F%23'],
    ['x/${client}', '${client}', '${user}', 'x/%24{user}'],
    ['${user}', "$&$'$`", 'c', "%24&%24'%24`"],
    ['plain', 'u', '', 'plain'],
  ])('%j for user %j as client %j is %j', (template, user, client, filled) => {
    expect(fillGrant(template, user, client)).toBe(filled as TopicFilter);
  });

  test.each([
    ['', 'no Topic Filter'],
    ['a#', 'no Topic Filter'],
    ['#/a', 'no Topic Filter'],
    ['${user}+', 'no Topic Filter'],
    ['a\0', 'no Topic Filter'],
    ['\ud800', 'no Topic Filter'],
    ['${users}', 'only ${user} and ${client} are replaced'],
    ['$${user', 'only ${user} and ${client} are replaced'],
    ['$share/g/x', 'a grant names the filter without $share/<group>/'],
  ])('%j grants nothing: %s', (template, problem) => {
    expect(grantProblem(template)).toBe(problem);
    expect(fillGrant(template, 'u', 'c')).toBeUndefined();
  });

  test('that names an id which is none grants nothing', () => {
    expect(fillGrant('x/${client}', 'u', '')).toBeUndefined();
    expect(fillGrant('x/${client}', 'u', '\ud800')).toBeUndefined();
    expect(fillGrant('x/${user}', '', 'c')).toBeUndefined();
  });

  test('is as wide for every id: what takes a placeholder’s place is one level’s text', () => {
    fc.assert(
      fc.property(users, fc.string({ unit: 'binary', minLength: 1 }), (user, client) => {
        for (const template of ['a/${user}/b', 'a/${client}/b', 'a/${user}_${client}/b']) {
          const filter = fillGrant(template, user, client) as TopicFilter;
          expect(filter).toMatch(/^a\/[^+#/]+\/b$/);
        }
      }),
    );
  });
});

describe('default rights hold', () => {
  const cases = fc.record({ user: users, other: users, topic: topics, filter: filters });

  test('whatever a device may subscribe to is its own, and a device’s message never gets there', () => {
    fc.assert(
      fc.property(cases, separators, ({ user, other, topic, filter }, separator) => {
        const encoded = encodeUser(user) as string;
        const policy = { separator };
        const commands = [filter, topic];
        const mine = rightsOf({ user, policy, commands });
        const own = `${encoded}${separator}${filter}` as TopicFilter;
        for (const asked of [filter, own]) {
          if (mine.subscribe(asked) === undefined) continue;
          const under = topicUnder(asked, ['1', 'x_y']) as TopicName;
          expect(matches(asked, under)).toBe(true);
          const isBare = under === encoded || under === `${encoded}_`;
          expect(isBare || isOwnTopic(under, encoded, separator)).toBe(true);
          const reach = rightsOf({ user: other, policy, commands }).publish(under);
          expect(reach ?? 0).toBe(0);
          expect(mine.receive(under, reach ?? 0)).toBe(false);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('mayReceive is what a subscription to that very topic would give', () => {
    const who = fc.record({
      role: fc.constantFrom<Role>('device', 'handler', 'admin'),
      grants: fc.option(fc.array(filters), { nil: undefined }),
      reach: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
      topic: fc.oneof(topics, fc.constantFrom('$SYS/x', '$SYS', '1_x') as fc.Arbitrary<TopicName>),
    });
    fc.assert(
      fc.property(who, ({ role, grants, reach, topic }) => {
        const { subscribe, receive } = rightsOf(
          grants === undefined ? { role } : { role, grants: grant({ subscribe: grants }) },
        );
        const standing = subscribe(topic);
        expect(receive(topic, reach)).toBe(standing !== undefined && standing <= reach);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('an identity without a usable user id is our own mistake, and gets no rights', () => {
  expect(() => rightsOf({ user: '' })).toThrow();
  expect(() => rightsOf({ user: '\ud800' })).toThrow();
});
