import { defineHandler } from 'bellhop';
import { userField } from './user-field.ts';

/** A phone accepts a request: `accept_contact {"from":"68946"}`. Without a request nothing happens. */
export default defineHandler({
  topic: 'accept_contact',
  input: userField('from'),
  run({ input: { from }, user, store, send, log }) {
    const { changes } = store.run`
      delete from contact_request where from_user = ${from} and to_user = ${user.id}`;
    if (changes > 0) {
      store.run`
        insert into contact values (${from}, ${user.id}), (${user.id}, ${from}) on conflict do nothing`;
    } else if (!store.get`select 1 from contact where user = ${user.id} and contact = ${from}`) {
      return log.warn('accepted without a request', { user: user.id, from });
    }
    // Accepted twice, or delivered twice, it is told twice, and the phone shows it once.
    send(from, 'contact_approved', { by: user.id });
  },
});
