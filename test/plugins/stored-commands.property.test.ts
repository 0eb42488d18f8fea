/** Stored commands, whatever comes when: each of their handlers carries them out once, in the order of their user. */
import { afterAll, expect, test } from 'bun:test';
import { runs, seed } from '../seed.ts';
import { Random } from '../sim/random.ts';
import { removeFolders } from './folder.ts';
import { StoredCommands } from './stored-commands.ts';

afterAll(removeFolders);

test('each stored command is carried out once by each of its handlers, and in order, whatever comes when', async () => {
  let crashes = 0;
  for (let run = 0; run < runs(4); run++) {
    const commands = new StoredCommands(new Random(seed * 1_000 + run));
    expect([run, await commands.run(300)]).toEqual([run, []]);
    crashes += commands.crashes;
  }
  expect(crashes).toBeGreaterThan(0);
}, 300_000);
