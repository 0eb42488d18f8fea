import { defineHandler } from 'bellhop';

const kept: Uint8Array[] = [];

/** Takes memory, a mebibyte after the other, and gives none of it back. */
export default defineHandler({
  topic: 'hostile',
  timeoutMs: 10_000,
  retry: { attempts: 2, firstDelayMs: 20 },
  run() {
    for (;;) kept.push(new Uint8Array(1024 * 1024).fill(1));
  },
});
