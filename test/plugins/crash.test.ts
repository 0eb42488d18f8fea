/** Commands that move an amount, in a process that is killed again and again at whatever it is doing. */
import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { runs, seed } from '../seed.ts';
import { folderOf, plainHandlerFile, removeFolders } from './folder.ts';

afterAll(removeFolders);

type Line =
  | { readonly number: number; readonly sent: readonly string[] }
  | 'given'
  | { readonly buried: string };

/** From 0 to 1, the same for each seed. */
function chanceFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('each command takes effect once and is reported once, wherever its process is killed', async () => {
  const folder = folderOf({
    'move.ts': plainHandlerFile(
      'move',
      `const { n } = store.get\`select amount as n from account where name = 'a'\`;
         store.run\`update account set amount = \${n - 1} where name = 'a'\`;
         store.run\`update account set amount = amount + 1 where name = 'b'\`;
         store.run\`insert into moved values (\${input.number})\`;
         send('x', 'moved', input.number);`,
    ),
    'migrations/0001_account.sql':
      "create table account (name text primary key, amount integer not null); insert into account values ('a', 0), ('b', 0); create table moved (number integer);",
  });
  const storePath = join(folderOf({}), 'store.sqlite');
  const done: number[] = [];
  const reported: number[] = [];
  const chance = chanceFrom(seed);
  const cycles = runs(5);
  const count = 60 * cycles;
  for (let cycle = 0; cycle <= cycles; cycle++) {
    const last = cycle === cycles;
    const wanted = last ? count : Math.floor(((cycle + chance()) * count) / (cycles + 1));
    const program = join(import.meta.dir, 'crash-program.ts');
    const given = [folder, folderOf({}), storePath, `${count}`, done.join(',')];
    const child = Bun.spawn([process.execPath, program, ...given], { stderr: 'inherit' });
    let rest = '';
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const read = JSON.parse(line) as Line;
        if (read === 'given') continue;
        if ('buried' in read) throw new Error(read.buried);
        done.push(read.number);
        reported.push(...read.sent.map(Number));
      }
      if (done.length >= wanted) child.kill('SIGKILL');
    }
    await child.exited;
  }
  const all = Array.from({ length: count }, (_, index) => index + 1);
  const sorted = (numbers: readonly number[]) => [...numbers].sort((one, other) => one - other);
  expect(sorted(done)).toEqual(all);
  expect(sorted(reported)).toEqual(all);
  const database = new Database(storePath);
  const moved = database.query<{ number: number }, []>('select number from moved').all();
  expect(sorted(moved.map(({ number }) => number))).toEqual(all);
  expect(database.query('select name, amount from account order by name').all()).toEqual([
    { name: 'a', amount: -count },
    { name: 'b', amount: count },
  ]);
  // Those of the last process may be there still; all others were found and forgotten.
  database.close();
}, 120_000);
