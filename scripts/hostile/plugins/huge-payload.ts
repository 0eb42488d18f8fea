import { defineHandler } from 'bellhop';

/** Sends 50 MB, which is more than a run may. */
export default defineHandler({
  topic: 'hostile',
  retry: { attempts: 2, firstDelayMs: 20 },
  run({ send, user }) {
    send(user.id, 'harm', 'x'.repeat(50_000_000));
  },
});
