import { defineHandler } from 'bellhop';
import { userField } from './user-field.ts';

/** A phone asks to have somebody as a contact: `request_contact {"to":"23412"}`. */
export default defineHandler({
  topic: 'request_contact',
  input: userField('to'),
  run({ input: { to }, user, store, send }) {
    if (to === user.id) return;
    const known = store.get`select 1 from contact where user = ${user.id} and contact = ${to}`;
    if (known) return send(user.id, 'contact_approved', { by: to });
    // Asked twice, or delivered twice, it is one request.
    store.run`insert into contact_request values (${user.id}, ${to}) on conflict do nothing`;
    send(to, 'contact_requested', { from: user.id });
  },
});
