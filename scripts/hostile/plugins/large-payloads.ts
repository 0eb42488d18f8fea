import { defineHandler } from 'bellhop';

/** Sends 30 MB, which it may, in three messages. */
export default defineHandler({
  topic: 'hostile',
  run({ send, user }) {
    for (let count = 0; count < 3; count++) send(user.id, 'weight', 'x'.repeat(10_000_000));
  },
});
