import { defineHandler } from 'bellhop';

/** Is done at once, and leaves behind what blocks its worker. */
export default defineHandler({
  topic: 'hostile',
  timeoutMs: 200,
  run() {
    setTimeout(() => {
      for (;;);
    });
  },
});
