/** The disk fails, fills up, is held by another or goes; the thread dies. Nothing is told too early. */
import { Database } from 'bun:sqlite';
import { afterAll, afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, renameSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FILE_NAME } from '../../core/store/data-folder.ts';
import { startThread } from '../../core/store/file-storage.ts';
import { StorageRefused } from '../../core/store/problem.ts';
import { FileBench } from './bench.ts';
import { content, message, queued, session } from './changes.ts';
import { historyOf } from './history.ts';
import { Ledger } from './ledger.ts';

const root = mkdtempSync(join(tmpdir(), 'bellhop-failure-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(root, 'x-'));
});

const mounted: string[] = [];
afterEach(() => {
  // Also where a test failed with its storage still open.
  for (const point of mounted.splice(0)) Bun.spawnSync(['umount', '--lazy', point]);
});

/** A file system of its own, so small that it fills up; undefined where none can be mounted. */
function mount(point: string, options: string): boolean {
  const { success } = Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', point]);
  if (success) mounted.push(point);
  return success;
}

const canMount = mount(root, 'size=64k');
Bun.spawnSync(['umount', root]);
mounted.length = 0;
if (!canMount) console.info('the tests of a full disk are skipped: no file system can be mounted');

const failed = (code: string) => (bench: FileBench) =>
  bench.statuses.some((status) => !status.ok && status.code === code);
const recovered = (bench: FileBench) => bench.statuses.at(-1)?.ok === true;

test.skipIf(!canMount)(
  'on a full disk nothing is told as stored, and all of it is once there is room',
  async () => {
    expect(mount(folder, 'size=4m')).toBe(true);
    let bench = await FileBench.open({ folder, durability: 'fsync' });
    bench.keep(session(1), message(1), queued(1, 1, 1));
    await bench.settle();
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(join(folder, 'filler'), new Uint8Array((bavail - 8) * bsize));

    const large = new Uint8Array(100_000).fill(1);
    bench.keep(message(2, large), queued(1, 2, 2));
    bench.fetch(1);
    bench.post();
    await bench.until(() => failed('SQLITE_FULL')(bench));
    bench.keep(message(3, large), queued(1, 3, 3), { kind: 'done', session: 1, sequence: 1 });
    bench.post();
    expect(bench.stored).toBe(3);
    expect(bench.statuses).toEqual([
      { ok: false, code: 'SQLITE_FULL', reason: 'the disk is full' },
    ]);

    rmSync(join(folder, 'filler'));
    await bench.settle();
    expect(bench.stored).toBe(8);
    expect(recovered(bench)).toBe(true);
    bench = await bench.restart();
    expect(bench.found.sessions[0]?.queuedMessages).toBe(2);
    await bench.dispose();
  },
);

test.skipIf(!canMount)(
  'a broker that fills its disk by itself resumes by what is acknowledged',
  async () => {
    expect(mount(folder, 'size=8m')).toBe(true);
    let bench = await FileBench.open({ folder, durability: 'fsync' });
    bench.keep(session(1));
    let sequence = 0;
    while (!failed('SQLITE_FULL')(bench)) {
      sequence++;
      bench.keep(message(sequence, new Uint8Array(50_000)), queued(1, sequence, sequence));
      bench.post();
      await bench.until(() => bench.stored === bench.kept || failed('SQLITE_FULL')(bench));
    }
    // What did not get in is dropped by its sender, and what is in goes bit by bit.
    bench.keep({ kind: 'done', session: 1, sequence });
    const stored = bench.stored;
    Bun.spawnSync(['mount', '-o', 'remount,size=9m', folder]);
    for (let each = 1; each < sequence; each++)
      bench.keep({ kind: 'done', session: 1, sequence: each });
    await bench.settle();
    expect(bench.stored).toBeGreaterThan(stored);
    Bun.spawnSync(['mount', '-o', 'remount,size=8m', folder]);
    bench.keep(message(sequence + 1), queued(1, sequence + 1, sequence + 1));
    await bench.settle();
    bench = await bench.restart();
    expect(bench.found.sessions[0]?.queuedMessages).toBe(1);
    await bench.dispose();
  },
  20_000,
);

test.skipIf(!canMount)('a folder that can only be read is refused', async () => {
  const bench = await FileBench.open({ folder, durability: 'os' });
  await bench.dispose();
  expect(mount(folder, 'size=1m,ro')).toBe(true);
  const open = FileBench.open({ folder, durability: 'os' });
  await expect(open).rejects.toThrow(StorageRefused);
  await expect(open).rejects.toThrow(/read-only|cannot be opened/);
});

/** The largest file that this process may write, in bytes; beyond it a write fails as on a failing disk. */
function limitFileSize(bytes: number | 'unlimited'): boolean {
  const limit = `--fsize=${bytes}:unlimited`;
  return Bun.spawnSync(['prlimit', '--pid', String(process.pid), limit]).success;
}

const canLimit = Bun.which('prlimit') !== null && limitFileSize('unlimited');
if (!canLimit) console.info('the test of a failing disk is skipped: there is no prlimit');

test.skipIf(!canLimit)(
  'a disk that fails is tried again with a fresh handle, and nothing is lost',
  async () => {
    let bench = await FileBench.open({ folder, durability: 'fsync' });
    bench.keep(session(1));
    await bench.settle();
    try {
      expect(limitFileSize(statSync(join(folder, `${FILE_NAME}-wal`)).size)).toBe(true);
      bench.keep(message(1, new Uint8Array(50_000)), queued(1, 1, 1));
      bench.fetch(1);
      bench.post();
      await bench.until(() => bench.statuses.length > 0);
    } finally {
      limitFileSize('unlimited');
    }
    for (const status of bench.statuses) {
      expect(!status.ok && status.reason).toStartWith('the disk fails (SQLITE_IOERR_');
    }
    expect(bench.stored).toBe(1);
    await bench.settle();
    expect(recovered(bench)).toBe(true);
    expect(bench.fetched[0]?.deliveries.length).toBe(1);
    bench = await bench.restart();
    expect(bench.found.sessions[0]?.queuedMessages).toBe(1);
    await bench.dispose();
  },
);

test('while another process holds the file, storing waits and goes on by itself', async () => {
  let bench = await FileBench.open({ folder, durability: 'os' });
  const holder = Bun.spawn(
    [process.execPath, join(import.meta.dir, 'hold-file.ts'), join(folder, FILE_NAME)],
    { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' },
  );
  expect(new TextDecoder().decode((await holder.stdout.getReader().read()).value)).toBe('held\n');
  bench.keep(session(1));
  bench.post();
  await bench.until(() => failed('SQLITE_BUSY')(bench));
  expect(bench.statuses).toEqual([
    { ok: false, code: 'SQLITE_BUSY', reason: 'the file is locked by another process' },
  ]);
  expect(bench.stored).toBe(0);
  holder.stdin.end();
  await holder.exited;
  await bench.settle();
  expect(recovered(bench)).toBe(true);
  bench = await bench.restart();
  expect(bench.found.sessions.length).toBe(1);
  await bench.dispose();
});

test('a start is refused while another process holds the file, and gives the folder back', async () => {
  await (await FileBench.open({ folder, durability: 'os' })).dispose();
  const other = new Database(join(folder, FILE_NAME));
  other.run('begin immediate');
  const problem = await FileBench.open({ folder, durability: 'os' }).catch((error) => error);
  expect(problem).toBeInstanceOf(StorageRefused);
  expect(problem.message).toBe(`${join(folder, FILE_NAME)}: the file is locked by another process`);
  other.close(true);
  await (await FileBench.open({ folder, durability: 'os' })).dispose();
});

test('a start is refused where the thread does not start', async () => {
  const startThread = () => new Worker(new URL('./no-such-file.ts', import.meta.url));
  const open = FileBench.open({ folder, durability: 'os', startThread });
  const problem = await open.catch((error) => error);
  expect(problem).toBeInstanceOf(StorageRefused);
  expect(problem.message).toContain('the storage thread does not start');
});

test('a close that cannot store what is left says so, and ends', async () => {
  const bench = await FileBench.open({ folder, durability: 'os' });
  const other = new Database(join(folder, FILE_NAME));
  other.run('begin immediate');
  bench.keep(session(1), session(2));
  const problem = await bench.storage.close().catch(String);
  expect(problem).toBe(
    'Error: 2 changes could not be stored: the file is locked by another process',
  );
  expect(bench.stored).toBe(0);
  other.close(true);
  const next = await FileBench.open({ folder, durability: 'os' });
  expect(next.found.sessions).toEqual([]);
  await next.dispose();
});

test('what is committed to a file that was removed is not told as stored, until it is back', async () => {
  let bench = await FileBench.open({ folder, durability: 'os' });
  const path = join(folder, FILE_NAME);
  bench.keep(session(1));
  await bench.settle();
  renameSync(path, `${path}.away`);
  bench.keep(session(2));
  bench.post();
  await bench.until(() => failed('FILE_REMOVED')(bench));
  expect(bench.stored).toBe(1);
  writeFileSync(path, 'another file under the same name does not help');
  bench.keep(session(3));
  bench.post();
  renameSync(`${path}.away`, path);
  await bench.settle();
  expect(recovered(bench)).toBe(true);
  bench = await bench.restart();
  expect(bench.found.sessions.length).toBe(3);
  await bench.dispose();
});

test('a thread that is lost is replaced, and nothing is lost or done twice', async () => {
  const threads: Worker[] = [];
  let bench = await FileBench.open({
    folder,
    durability: 'os',
    startThread: () => {
      const thread = startThread();
      threads.push(thread);
      return thread;
    },
  });
  const ledger = new Ledger();
  const numbers = Array.from({ length: 4_000 }, (_, index) => (index * 7_919) % 65_521);
  let turns = 0;
  for (const turn of historyOf(numbers)) {
    bench.keep(...turn);
    bench.post();
    for (const change of turn) ledger.apply(change);
    ledger.settle();
    if (turns++ % 40 === 0) {
      const lost = threads.length;
      threads.at(-1)?.terminate();
      for (const each of ledger.sessions.keys()) bench.fetch(each);
      await bench.until(() => threads.length > lost && recovered(bench));
    }
    if (turns % 40 === 5) await bench.settle();
  }
  await bench.settle();
  expect(threads.length).toBeGreaterThan(5);
  expect(failed('THREAD_LOST')(bench)).toBe(true);
  expect(bench.told.filter((told) => told.kind === 'fault')).toEqual([]);
  bench = await bench.restart();
  const { lastSession, lastMessage, lastSequence } = bench.found;
  expect(bench.found).toEqual({ ...ledger.snapshot(), lastSession, lastMessage, lastSequence });
  await bench.dispose();
}, 30_000);

test('a change that refers to a message that is gone is passed over, and told as a fault', async () => {
  const bench = await FileBench.open({ folder, durability: 'os' });
  bench.keep(session(1), queued(1, 1, 77), message(2), queued(1, 2, 2));
  bench.fetch(1);
  await bench.settle();
  expect(bench.told.filter((told) => told.kind === 'fault')).toEqual([
    { kind: 'fault', detail: 'message 77 is not stored any more' },
  ]);
  expect(bench.fetched[0]?.deliveries.map(({ content }) => content)).toEqual([content]);
  await bench.dispose();
});
