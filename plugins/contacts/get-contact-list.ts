import { defineHandler } from 'bellhop';

/** A phone asks for its contacts: `get_contact_list`, and gets them on `<user>_contact_list`. */
export default defineHandler({
  topic: 'get_contact_list',
  reply: 'contact_list',
  run({ user, store }) {
    const rows = store.all<{ contact: string }>`
      select contact from contact where user = ${user.id} order by contact`;
    return { contacts: rows.map((row) => row.contact) };
  },
});
