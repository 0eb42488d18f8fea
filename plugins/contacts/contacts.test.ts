import { join } from 'node:path';
import {
  afterEach,
  beforeEach,
  expect,
  type TestStore,
  test,
  testHandler,
  testStore,
} from 'bellhop/test';
import acceptContact from './accept-contact.ts';
import getContactList from './get-contact-list.ts';
import requestContact from './request-contact.ts';

/** An empty database with the schema of this folder, so that the tests run from anywhere. */
let store: TestStore;
beforeEach(() => {
  store = testStore({ folder: join(import.meta.dir, '..') });
});
afterEach(() => store.close());

test('a request, its approval, and both lists', async () => {
  const asked = await testHandler(requestContact, { user: '1', input: { to: '2' }, store });
  expect(asked.sent).toMatchObject([
    { user: '2', name: 'contact_requested', payload: { from: '1' } },
  ]);
  const accepted = await testHandler(acceptContact, { user: '2', input: { from: '1' }, store });
  expect(accepted.sent).toMatchObject([
    { user: '1', name: 'contact_approved', payload: { by: '2' } },
  ]);
  const first = await testHandler(getContactList, { user: '1', store });
  expect(first.reply).toEqual({ contacts: ['2'] });
  const second = await testHandler(getContactList, { user: '2', store });
  expect(second.reply).toEqual({ contacts: ['1'] });
});

test('what was not asked cannot be accepted', async () => {
  const { sent, logs } = await testHandler(acceptContact, {
    user: '2',
    input: { from: '1' },
    store,
  });
  expect(sent).toEqual([]);
  expect(logs).toMatchObject([{ level: 'warn', message: 'accepted without a request' }]);
  expect(store.all`select * from contact`).toEqual([]);
});

test('who is a contact already is told so, and asked nothing', async () => {
  store.run`insert into contact values ('1', '2'), ('2', '1')`;
  const { sent } = await testHandler(requestContact, { user: '1', input: { to: '2' }, store });
  expect(sent).toMatchObject([{ user: '1', name: 'contact_approved', payload: { by: '2' } }]);
});

test.each([undefined, null, {}, { to: 5 }, { to: '' }, '2'])('%p is no request', async (input) => {
  const { error } = await testHandler(requestContact, { user: '1', input, store });
  expect(error).toMatchObject({ kind: 'input', retry: false });
});
