import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FILE_NAME } from '../../core/store/data-folder.ts';
import { FileBench } from './bench.ts';
import { message, queued, session } from './changes.ts';
import { storageSuite } from './storage-suite.ts';

const root = mkdtempSync(join(tmpdir(), 'bellhop-storage-'));
afterAll(() => rmSync(root, { recursive: true }));

storageSuite('the file', () =>
  FileBench.open({ folder: mkdtempSync(join(root, 'x-')), durability: 'os' }),
);

function count(folder: string, table: string): number {
  const database = new Database(join(folder, FILE_NAME), { readonly: true });
  try {
    return Number(database.query(`select count(*) from ${table}`).values()[0]?.[0]);
  } finally {
    database.close(true);
  }
}

test('what an ended session leaves behind goes bit by bit, between batches and after a restart', async () => {
  const folder = mkdtempSync(join(root, 'x-'));
  let bench = await FileBench.open({ folder, durability: 'os' });
  bench.keep(session(1), session(2), session(3));
  for (let number = 1; number <= 9_000; number++) {
    bench.keep(message(number), queued(1 + (number % 3), number, number));
  }
  await bench.settle();
  bench.keep({ kind: 'session-ended', session: 1 });
  await bench.settle();
  await bench.dispose();
  // As a kill would leave it behind the batch that ended another one.
  const database = new Database(join(folder, FILE_NAME));
  database.run('delete from session where number = 2');
  database.run('insert into ended values (2)');
  database.close(true);

  bench = await FileBench.open({ folder, durability: 'os' });
  expect(bench.found.sessions.map((each) => each.session)).toEqual([3]);
  bench.fetch(2);
  for (let batch = 1; count(folder, 'ended') > 0; batch++) {
    expect(batch).toBeLessThan(1_000);
    bench.keep({ kind: 'received', session: 3, packetIdentifier: batch });
    await bench.settle();
  }
  expect(bench.fetched[0]?.deliveries).toEqual([]);
  expect(count(folder, 'delivery')).toBe(3_000);
  expect(count(folder, 'message')).toBe(3_000);
  await bench.dispose();
});
