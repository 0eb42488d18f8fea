/** What the allocator of the broker's process is told, in the environment that Linux shows of it. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { Broker, Folder } from './executable.ts';

setDefaultTimeout(60_000);

const OPTION = 'MIMALLOC_PURGE_HOLES_MIN_INTERVAL';

function environmentOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
}

test.if(process.platform === 'linux')(
  'the broker serves as the process that was started, its allocator told, and with what .env says not in its environment',
  async () => {
    using folder = new Folder();
    folder.write('.env', 'JWT_SECRET=known-to-the-env-file-alone-0123456789\n');
    await using broker = await Broker.start(folder);
    const environment = environmentOf(broker.pid);
    expect(environment).toContain(`${OPTION}=10000`);
    expect(environment.filter((entry) => entry.startsWith('JWT_SECRET='))).toEqual([]);
  },
);

test.if(process.platform === 'linux')('what it was told by whoever started it stays', async () => {
  using folder = new Folder();
  await using broker = await Broker.start(folder, [], { [OPTION]: '500' });
  expect(environmentOf(broker.pid)).toContain(`${OPTION}=500`);
});
