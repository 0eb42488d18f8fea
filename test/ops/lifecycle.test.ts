import { expect, test } from 'bun:test';
import { Lifecycle, within } from '../../core/ops/lifecycle.ts';

function recorded() {
  const seen: string[] = [];
  const lifecycle = new Lifecycle((part, error) =>
    seen.push(`${part}: ${(error as Error).message}`),
  );
  const open = (name: string) =>
    lifecycle.open(
      name,
      () => name,
      async (part) => {
        await Promise.resolve();
        seen.push(`${part} closed`);
      },
    );
  return { seen, lifecycle, open };
}

test('what is open is closed in reverse', async () => {
  const { seen, lifecycle, open } = recorded();
  expect(await open('a')).toBe('a');
  await open('b');
  await lifecycle.close();
  await lifecycle.close();
  expect(seen).toEqual(['b closed', 'a closed']);
});

test('a part that does not open leaves those before it to be closed, and itself not', async () => {
  const { seen, lifecycle, open } = recorded();
  await open('a');
  const refused = lifecycle.open(
    'b',
    () => {
      throw new Error('in use');
    },
    () => void seen.push('b closed'),
  );
  await expect(refused).rejects.toThrow('in use');
  await lifecycle.close();
  expect(seen).toEqual(['a closed']);
});

test('a part that does not close is told of, and the others are closed all the same', async () => {
  const { seen, lifecycle, open } = recorded();
  await open('a');
  await lifecycle.open(
    'b',
    () => 'b',
    () => Promise.reject(new Error('stuck')),
  );
  await lifecycle.close();
  expect(seen).toEqual(['b: stuck', 'a closed']);
});

test('within tells whether the work was in time', async () => {
  expect(await within(60_000, Promise.resolve())).toBe(true);
  expect(await within(0, new Promise(() => {}))).toBe(false);
  await expect(within(60_000, Promise.reject(new Error('no')))).rejects.toThrow('no');
});
