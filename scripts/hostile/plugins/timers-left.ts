import { defineHandler } from 'bellhop';

/** Each run leaves twenty timers behind that write, send and throw for ever. */
export default defineHandler({
  topic: 'hostile',
  run({ store, send, user }) {
    for (let count = 0; count < 20; count++) {
      setInterval(() => {
        send(user.id, 'harm', 'done');
      }, 1);
      setInterval(() => store.run`insert into entry (number) values (-1)`, 1);
    }
  },
});
