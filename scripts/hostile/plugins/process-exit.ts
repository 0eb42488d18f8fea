import { defineHandler } from 'bellhop';

/** Ends the process, as it thinks. */
export default defineHandler({
  topic: 'hostile',
  retry: { attempts: 2, firstDelayMs: 20 },
  run() {
    process.exit(1);
  },
});
