/** What a bench runs on. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import type { Machine } from './results.ts';
import { isPinned } from './runner.ts';

const APPEND_BYTES = 4_096;

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    syncsPerSecond: measureSyncs(),
    isPinned,
  };
}

/** Appends and syncs for half a second, where the brokers keep their files. */
function measureSyncs(): number {
  const path = join(tmpdir(), `bellhop-bench-sync-${process.pid}`);
  const file = openSync(path, 'wx');
  const bytes = new Uint8Array(APPEND_BYTES);
  const begunAt = performance.now();
  let count = 0;
  try {
    while (performance.now() - begunAt < 500) {
      writeSync(file, bytes);
      fdatasyncSync(file);
      count++;
    }
  } finally {
    closeSync(file);
    rmSync(path);
  }
  return count / ((performance.now() - begunAt) / 1_000);
}
