import { defineHandler } from 'bellhop';

/** Whom the hostile plugins stand beside: it notes each number, and says so. */
export default defineHandler({
  topic: 'note',
  reply: 'noted',
  run({ input, store }) {
    const { number } = input as { number: number };
    store.run`insert into entry (number) values (${number})`;
    return { number };
  },
});
