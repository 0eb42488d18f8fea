import { defineHandler } from 'bellhop';

/** Awaits what never comes, and is deaf to `signal`. */
export default defineHandler({
  topic: 'hostile',
  timeoutMs: 200,
  retry: { attempts: 2, firstDelayMs: 20 },
  async run() {
    await new Promise(() => {});
  },
});
