/** The shipped example, as the broker runs it. */
import { afterAll, afterEach, beforeEach, expect, test } from 'bun:test';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Message } from '../../core/mqtt/packet.ts';
import { Bench, by, command, removeFolders } from './folder.ts';

const shipped = join(import.meta.dir, '..', '..', 'plugins');

let bench: Bench;
beforeEach(async () => {
  bench = new Bench({});
  cpSync(shipped, bench.folder, { recursive: true });
  bench = new Bench({}, { folder: bench.folder });
  await bench.pool.start();
});
afterEach(() => bench.pool.stop(0));
afterAll(removeFolders);

const request = (user: string, to: string) => command('request_contact', { to }, by(user));
const accept = (user: string, from: string) => command('accept_contact', { from }, by(user));
const list = (user: string) => command('get_contact_list', '', by(user));

test('the folder has exactly the three commands, and loads without a complaint', () => {
  expect(([...bench.pool.topics] as string[]).sort()).toEqual([
    'accept_contact',
    'get_contact_list',
    'request_contact',
  ]);
  expect(new Set(bench.events.map(({ kind }) => kind))).toEqual(
    new Set(['migrated', 'plugin-loaded']),
  );
});

/** Commands of several users have no order among each other, unless one waits for the other. */
async function oneByOne(...messages: readonly Message[]): Promise<void> {
  for (const message of messages) await bench.run(message);
}

test('a request, its approval, and both lists', async () => {
  await oneByOne(request('68946', '23412'), list('23412'));
  await oneByOne(accept('23412', '68946'), list('23412'), list('68946'));
  expect(bench.texts).toEqual([
    '23412_contact_requested {"from":"68946"}',
    '23412_contact_list {"contacts":[]}',
    '68946_contact_approved {"by":"23412"}',
    '23412_contact_list {"contacts":["68946"]}',
    '68946_contact_list {"contacts":["23412"]}',
  ]);
});

test('whatever is delivered twice, or comes late, changes nothing', async () => {
  const twice = (message: ReturnType<typeof command>) => [message, message];
  await oneByOne(...twice(request('a', 'b')), ...twice(accept('b', 'a')));
  await oneByOne(request('a', 'b'), accept('b', 'a'), list('a'), list('b'));
  expect(bench.texts).toEqual([
    'b_contact_requested {"from":"a"}',
    'b_contact_requested {"from":"a"}',
    'a_contact_approved {"by":"b"}',
    'a_contact_approved {"by":"b"}',
    'a_contact_approved {"by":"b"}',
    'a_contact_approved {"by":"b"}',
    'a_contact_list {"contacts":["b"]}',
    'b_contact_list {"contacts":["a"]}',
  ]);
});

test('nobody accepts what was not asked of them', async () => {
  await oneByOne(request('a', 'b'), accept('c', 'a'), accept('a', 'b'), accept('b', 'c'));
  await oneByOne(...['a', 'b', 'c'].map(list));
  expect(bench.texts.slice(1)).toEqual(
    ['a', 'b', 'c'].map((user) => `${user}_contact_list {"contacts":[]}`),
  );
  expect(bench.ofKind('handler-log').map(({ message }) => message)).toEqual(
    Array(3).fill('accepted without a request'),
  );
});

test('two who ask each other are contacts once either accepts', async () => {
  await oneByOne(request('a', 'b'), request('b', 'a'), accept('a', 'b'), accept('b', 'a'));
  await oneByOne(list('a'), list('b'));
  expect(bench.texts.slice(-2)).toEqual([
    'a_contact_list {"contacts":["b"]}',
    'b_contact_list {"contacts":["a"]}',
  ]);
});

test('what makes no sense is refused or does nothing', async () => {
  await bench.run(request('a', 'a'));
  for (const payload of ['', 'null', '{}', '{"to":5}', '{"to":""}', '"b"', '{']) {
    await bench.run(command('request_contact', payload, by('a')));
  }
  expect(bench.sent).toEqual([]);
  expect(bench.letters.map(({ kind }) => kind)).toEqual(Array(7).fill('input'));
});
