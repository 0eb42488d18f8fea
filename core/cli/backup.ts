/** `bellhop backup FILE`: a consistent copy of what the broker keeps, while it runs or not. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { StartError } from '../ops/lifecycle.ts';
import { backUp } from '../store/backup.ts';
import { StorageRefused } from '../store/problem.ts';
import type { Command } from './arguments.ts';
import { readConfiguration } from './configured.ts';

export const backup: Command = {
  usage: 'FILE [options]',
  about: `Copies sessions, queued and retained messages of DATA_DIR to FILE, which must not exist yet, in a
folder that does. To go back to it, stop the broker and put the copy in place of
DATA_DIR/broker.sqlite, without the files broker.sqlite-wal and broker.sqlite-shm. The secret, the
certificate and the handlers' store are files of their own.`,
  options: {},
  operands: ['file'],
  async run(given) {
    process.umask(0o077); // it holds what the data folder does
    const file = resolve(given.needOperand('file'));
    if (!existsSync(dirname(file))) throw new StartError(`there is no folder ${dirname(file)}`);
    const { config } = readConfiguration(given);
    try {
      backUp(config.dataDir, file);
    } catch (error) {
      if (error instanceof StorageRefused) throw new StartError(error.message);
      throw error;
    }
    process.stdout.write(`${file}\n`);
    return 0;
  },
};
