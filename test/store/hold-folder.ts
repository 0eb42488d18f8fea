/** Takes the data folder that it is given, says so, and stays until it is killed. */
import { lockFolder } from '../../core/store/data-folder.ts';

const lock = lockFolder(process.argv[2] ?? '');
console.log('held');
process.on('SIGTERM', () => lock.close());
setInterval(() => {}, 60_000);
