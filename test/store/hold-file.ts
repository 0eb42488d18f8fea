/** Holds the right to write to the database that it is given, says so, and lets go when its input ends. */
import { Database } from 'bun:sqlite';

const database = new Database(process.argv[2] ?? '', { readwrite: true, create: false });
database.run('begin immediate');
console.log('held');
for await (const _ of Bun.stdin.stream()) {
  // Nothing is said to it.
}
database.run('rollback');
