import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { DeclaredCommands } from '../../core/auth/commands.ts';
import { matchesSplit, splitFilter } from '../../core/auth/filter-levels.ts';
import { encodeUser, isOwnFilter } from '../../core/auth/user-topic.ts';
import { matches, type TopicFilter, type TopicName } from '../../core/mqtt/topic.ts';
import { seed } from '../seed.ts';
import { filters, separators, topics, users } from './generators.ts';

fc.configureGlobal({ seed });

function declared(...filters: string[]): DeclaredCommands {
  const commands = new DeclaredCommands();
  for (const filter of filters) commands.add(filter as TopicFilter);
  return commands;
}
const declares = (commands: DeclaredCommands, topic: string) =>
  commands.declares(topic as TopicName);

test('a filter split once matches what the plain reading of 4.7 matches', () => {
  fc.assert(
    fc.property(filters, topics, (filter, topic) => {
      expect(matchesSplit(splitFilter(filter), topic)).toBe(matches(filter, topic));
    }),
    { numRuns: 5_000 },
  );
});

describe('declared commands', () => {
  test('are the names and filters that were added, and nothing near them', () => {
    const commands = declared('request_contact', 'orders/+/cancel', 'chat/#');
    for (const topic of ['request_contact', 'orders/7/cancel', 'chat', 'chat/a/b']) {
      expect([topic, declares(commands, topic)]).toEqual([topic, true]);
    }
    for (const topic of ['request_contact/', 'Request_contact', 'orders/7', 'orders', 'chats']) {
      expect([topic, declares(commands, topic)]).toEqual([topic, false]);
    }
  });

  test.each(['#', '+', '+/x', '+/#', '$SYS/#', '$share/g/x', '$x'])(
    'are not opened by %j',
    (filter) => {
      const commands = declared(filter);
      expect(commands.size).toBe(0);
      for (const topic of ['x', 'a/x', '$SYS/x', '$x', '$share/g/x']) {
        expect([topic, declares(commands, topic)]).toEqual([topic, false]);
      }
      commands.remove(filter as TopicFilter); // and taking it back takes nothing else away
    },
  );

  test('are counted: added twice, they last until removed twice', () => {
    for (const filter of ['x', 'x/#'] as TopicFilter[]) {
      const commands = declared(filter, filter);
      commands.remove(filter);
      expect(declares(commands, 'x')).toBe(true);
      commands.remove(filter);
      expect(declares(commands, 'x')).toBe(false);
      commands.remove(filter); // one too many is none
      commands.add(filter);
      expect(declares(commands, 'x')).toBe(true);
    }
  });

  test('are what a plain list of filters would give, through any changes', () => {
    const change = fc.record({ add: fc.boolean(), filter: filters });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), fc.array(topics), (changes, asked) => {
        const commands = new DeclaredCommands();
        const held: TopicFilter[] = [];
        for (const { add, filter } of changes) {
          if (add) {
            commands.add(filter);
            if (!/^[+#$]/.test(filter)) held.push(filter);
          } else {
            commands.remove(filter);
            if (held.includes(filter)) held.splice(held.indexOf(filter), 1);
          }
        }
        expect(commands.size).toBe(new Set(held).size);
        for (const topic of asked) {
          expect(commands.declares(topic)).toBe(held.some((filter) => matches(filter, topic)));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a command that a user id spells', () => {
  test('is named for that user alone', () => {
    const commands = declared('get_contact_list', 'request_contact', 'shop/orders', 'x_y/#');
    expect(commands.commandOf('request', '_')).toBe('request_contact' as TopicFilter);
    expect(commands.commandOf('x', '_')).toBe('x_y/#' as TopicFilter);
    expect(commands.commandOf('shop', '/')).toBe('shop/orders' as TopicFilter);
    expect(commands.commandOf('shop', '_')).toBeUndefined();
    expect(commands.commandOf('request_contact', '_')).toBeUndefined();
    expect(commands.commandOf('423144', '_')).toBeUndefined();
  });

  test('comes and goes with its declaration', () => {
    const commands = declared();
    expect(commands.commandOf('request', '_')).toBeUndefined();
    commands.add('request_contact' as TopicFilter);
    expect(commands.commandOf('request', '_')).toBe('request_contact' as TopicFilter);
    commands.remove('request_contact' as TopicFilter);
    expect(commands.commandOf('request', '_')).toBeUndefined();
  });

  test('is found wherever a declared filter is one on the user’s own topics', () => {
    fc.assert(
      fc.property(users, filters, separators, (user, rest, separator) => {
        const encoded = encodeUser(user) as string;
        const filter = `${encoded}${separator}${rest}` as TopicFilter;
        if (!isOwnFilter(filter, encoded, separator)) return;
        expect(declared(filter).commandOf(encoded, separator)).toBe(filter);
      }),
    );
  });
});
