/** The same once more over a broker that has storage: acknowledgements wait, queues lie on disk. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';

test('with storage the broker conforms just as well', async () => {
  const folders = ['common', 'v5', 'v311'].map((folder) => join(import.meta.dir, folder));
  const run = Bun.spawn([process.execPath, 'test', '--timeout=60000', ...folders], {
    cwd: join(import.meta.dir, '..', '..'),
    env: { ...process.env, DURABLE: '1' },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [output, report] = await Promise.all([run.stdout.text(), run.stderr.text()]);
  const exitCode = await run.exited;
  const failures = `${output}\n${report}`.split('\n').filter((line) => line.startsWith('(fail)'));
  expect([exitCode, failures]).toEqual([0, []]);
}, 120_000);
