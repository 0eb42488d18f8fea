/**
 * The handler of `replies.ts` as one writes it for any broker: an MQTT.js client that inserts a row and
 * answers on the device's own topic. `bun client.ts URL QOS FILE`; without a FILE it only answers.
 */
import { Database } from 'bun:sqlite';
import mqtt from 'mqtt';
import { stampPublisher } from '../../core/bench/stamp.ts';

const [url = '', qosText = '0', file] = process.argv.slice(2);
const qos = qosText === '1' ? 1 : 0;

function openInsert(path: string): (user: string, payload: Uint8Array) => void {
  const database = new Database(path, { create: true, strict: true });
  database.run('pragma journal_mode = wal');
  database.run('pragma synchronous = full');
  database.run(
    'create table placed (id integer primary key, user text not null, body blob not null)',
  );
  const insert = database.query<never, [string, Uint8Array]>(
    'insert into placed (user, body) values (?, ?)',
  );
  return (user, payload) => void insert.run(user, payload); // by itself it is a transaction
}

const keep = file === undefined ? undefined : openInsert(file);
const client = await mqtt.connectAsync(url, { protocolVersion: 5, clientId: 'handler' });
client.on('message', (_, payload) => {
  // Nobody vouches for who sent it: the payload says it.
  const user = `bench-${stampPublisher(payload, 0)}`;
  keep?.(user, payload);
  client.publish(`${user}_bench_reply`, payload, { qos });
});
await client.subscribeAsync('bench_command', { qos });
process.stdout.write('serving\n');
