import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seed } from '../seed.ts';
import { FileBench } from './bench.ts';
import { turnOf } from './kill-history.ts';
import { Ledger } from './ledger.ts';

const ROUNDS = 10;

/** Runs the child until it has told of `turns` more, kills it, and returns the last turn it told of. */
async function runAndKill(folder: string, durability: string, turns: number): Promise<number> {
  const program = join(import.meta.dir, 'kill-child.ts');
  const child = Bun.spawn([process.execPath, program, folder, durability], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  let first: number | undefined;
  let last = 0;
  let rest = '';
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      last = Number(line);
      first ??= last;
    }
    if (first !== undefined && last >= first + turns) child.kill('SIGKILL');
  }
  await child.exited;
  expect(child.signalCode).toBe('SIGKILL');
  return last;
}

test.each(['fsync', 'os'] as const)(
  'with durability %s, a process that is killed at any moment has lost nothing that it told as stored',
  async (durability) => {
    const folder = mkdtempSync(join(tmpdir(), 'bellhop-kill-'));
    const ledger = new Ledger();
    let applied = 0;
    let dice = seed;
    try {
      for (let round = 0; round < ROUNDS; round++) {
        dice = (Math.imul(dice, 1_103_515_245) + 12_345) >>> 0;
        const told = await runAndKill(folder, durability, 1 + (dice % 3_000));
        const bench = await FileBench.open({ folder, durability });
        const { found } = bench;
        expect(found.lastSequence).toBeGreaterThanOrEqual(told);
        while (applied < found.lastSequence) {
          for (const change of turnOf(++applied)) ledger.apply(change);
          ledger.settle();
        }
        expect(found).toEqual(ledger.snapshot());
        expect(bench.letters()).toEqual(ledger.inOrderOfDeath());
        const sessions = [...ledger.sessions.keys()];
        for (const session of sessions) bench.fetch(session);
        await bench.settle();
        expect(bench.fetched).toEqual(sessions.map((each) => ledger.fetch(each, 0, 1_000, 1e9)));
        await bench.dispose();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  120_000,
);
