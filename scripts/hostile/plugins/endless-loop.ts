import { defineHandler } from 'bellhop';

/** Never awaits and never ends. */
export default defineHandler({
  topic: 'hostile',
  timeoutMs: 200,
  retry: { attempts: 2, firstDelayMs: 20 },
  run() {
    for (;;);
  },
});
