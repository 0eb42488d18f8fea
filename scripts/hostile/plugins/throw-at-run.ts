import { defineHandler } from 'bellhop';

/** Writes, sends, and throws. */
export default defineHandler({
  topic: 'hostile',
  retry: { attempts: 2, firstDelayMs: 20 },
  run({ store, send, user }) {
    store.run`insert into entry (number) values (-1)`;
    send(user.id, 'harm', 'done');
    throw new Error('thrown in a run');
  },
});
