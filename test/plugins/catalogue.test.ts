import { describe, expect, test } from 'bun:test';
import type { TopicFilter, TopicName } from '../../core/mqtt/topic.ts';
import { Catalogue } from '../../core/plugins/catalogue.ts';
import type { Trigger } from '../../core/plugins/definition.ts';
import type { LoadedHandler } from '../../core/plugins/exchange.ts';

function handler(name: string, trigger: Trigger): LoadedHandler {
  const rules = {
    trigger,
    timeoutMs: undefined,
    concurrency: Number.POSITIVE_INFINITY,
    ordered: false,
    attempts: 5,
    firstDelayMs: 1,
    longestDelayMs: 1,
  };
  return {
    name,
    file: { plugin: name, path: `/plugins/${name}.ts`, root: '/plugins' },
    position: 0,
    rules,
    secrets: [],
  };
}

const of = (name: string, ...topics: readonly string[]): LoadedHandler =>
  handler(name, { kind: 'command', topics: topics as readonly string[] as readonly TopicFilter[] });

const matching = (catalogue: Catalogue, topic: string): string[] =>
  catalogue.matching(topic as TopicName).map(({ name }) => name);

describe('a command', () => {
  const catalogue = new Catalogue([
    of('new', 'orders/new'),
    of('all', 'orders/#', 'orders/+'),
    of('other', 'other', 'another'),
  ]);

  test('is for the handler of its topic, and for each whose filter matches, once', () => {
    expect(matching(catalogue, 'orders/new')).toEqual(['new', 'all']);
    expect(matching(catalogue, 'orders/7/cancel')).toEqual(['all']);
    expect(matching(catalogue, 'another')).toEqual(['other']);
    expect(matching(catalogue, 'nothing')).toEqual([]);
  });

  test('may be published where a handler names it', () => {
    expect([...catalogue.topics] as string[]).toEqual([
      'orders/new',
      'orders/#',
      'orders/+',
      'other',
      'another',
    ]);
  });
});

describe('what the broker itself has to say', () => {
  const catalogue = new Catalogue([
    handler('presence', { kind: 'hook', events: ['connect', 'disconnect'] }),
    handler('greeter', { kind: 'hook', events: ['connect'] }),
    handler('push', { kind: 'hook', events: ['undelivered'] }),
    handler('night/clean#2', {
      kind: 'schedule',
      cron: '0 3 * * *',
      timeZone: 'UTC',
      missed: 'once',
    }),
    of('rest', 'a/#'),
  ]);

  test('is for all that want it', () => {
    expect(matching(catalogue, '$hook/connect')).toEqual(['presence', 'greeter']);
    expect(matching(catalogue, '$hook/disconnect')).toEqual(['presence']);
    expect(matching(catalogue, '$hook/undelivered/ada_chat/7')).toEqual(['push']);
    expect(matching(catalogue, '$hook/schedule/night/clean#2')).toEqual(['night/clean#2']);
    expect(matching(catalogue, '$hook/nothing')).toEqual([]);
  });

  test('is not for devices to publish', () => {
    expect([...catalogue.topics] as string[]).toEqual(['a/#']);
    expect(catalogue.hooks).toEqual(['connect', 'disconnect', 'undelivered']);
  });
});

describe('a removed handler', () => {
  const before = new Catalogue([of('a', 'a'), of('b', 'b', 'shared/#')]);
  const handlers = [of('a', 'a', 'shared/one')];
  const after = new Catalogue(handlers, before.without(handlers));

  test('takes what was accepted for it and is for nobody else', () => {
    expect(after.leaving.map(({ name }) => name)).toEqual(['b']);
    expect(matching(after, 'b')).toEqual(['b']);
    expect(matching(after, 'shared/two')).toEqual(['b']);
    expect(matching(after, 'shared/one')).toEqual(['a']);
    expect(after.named('b')?.name).toBe('b');
  });

  test('is not declared any more', () => {
    expect([...after.topics] as string[]).toEqual(['a', 'shared/one']);
    expect(after.handlers.has('b')).toBe(false);
  });

  test('leaves for as long as it is not back', () => {
    expect(after.without([]).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(after.without([of('b', 'b')]).map(({ name }) => name)).toEqual(['a']);
  });
});
