import { defineHandler } from 'bellhop';

/** Writes, and keeps the right to write while it awaits what never comes. */
export default defineHandler({
  topic: 'hostile',
  timeoutMs: 200,
  retry: { attempts: 2, firstDelayMs: 20 },
  async run({ store }) {
    store.run`insert into entry (number) values (-1)`;
    await new Promise(() => {});
  },
});
