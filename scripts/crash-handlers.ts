/**
 * Kills the broker again and again while phones move money between accounts by a handler, and checks
 * that each command took effect once and each report arrived:
 *
 *     bun scripts/crash-handlers.ts [--cycles 200] [--seed N] [--binary dist/bellhop]
 *
 * Phones publish `move` at QoS 1 and 2 and are sent a report of each at QoS 2. The handler writes the
 * two balances and a line in a book, and passes a command on to a second handler, which writes a book
 * of its own. Some runs wait in their midst, some fail at first. Nothing in the tables keeps a
 * command from taking effect twice: only the broker does. Each line of the report must be 0; exits
 * with 1 where one is not.
 */
import { Database } from 'bun:sqlite';
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bellhopAt, startBroker } from './broker.ts';
import { CrashClient } from './crash/client.ts';
import { randomFrom } from './crash/random.ts';
import { freePort, mint } from './load.ts';
import { numberOf, optionsOf } from './options.ts';

const ACCOUNTS = 20;
const BALANCE = 1_000;
const PHONES = 6;
const WINDOW = 8;
const DRAIN_MS = 120_000;

const { values } = optionsOf({
  options: {
    cycles: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(1 + (Date.now() % 1_000_000)) },
    binary: { type: 'string', default: 'dist/bellhop' },
  },
});
const cycles = numberOf(values, 'cycles');
const seed = numberOf(values, 'seed');

const plugins: Readonly<Record<string, string>> = {
  'migrations/0001_bank.sql': `
create table account (id integer primary key, balance integer not null) strict;
create table moved (command text not null, attempt integer not null) strict;
create table noted (command text not null) strict;
with recursive each(id) as (select 0 union all select id + 1 from each where id < ${ACCOUNTS - 1})
insert into account select id, ${BALANCE} from each;
`,
  'move.ts': `
import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'move',
  retry: { attempts: 10, firstDelayMs: 20, longestDelayMs: 200 },
  async run({ input, user, store, send, publish, invocation }) {
    const { command, from, to, amount, way } = input as {
      command: string; from: number; to: number; amount: number; way: string };
    if (way === 'waits first') await Bun.sleep(3);
    const held = store.get<{ balance: number }>\`select balance from account where id = \${from}\`;
    const balance = (held?.balance ?? 0) - amount;
    store.run\`update account set balance = \${balance} where id = \${from}\`;
    send(user.id, 'moved', { command }, { qos: 2 });
    if (way === 'waits within') await Bun.sleep(3);
    if (way === 'fails' && invocation.attempt < 3) throw new Error('not this time');
    store.run\`update account set balance = balance + \${amount} where id = \${to}\`;
    store.run\`insert into moved values (\${command}, \${invocation.attempt})\`;
    publish('note', { command });
  },
});
`,
  'note.ts': `
import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'note',
  run({ input, store }) {
    store.run\`insert into noted values (\${(input as { command: string }).command})\`;
  },
});
`,
};
const ways = ['at once', 'at once', 'at once', 'waits first', 'waits within', 'fails'];

const folder = mkdtempSync(join(tmpdir(), 'bellhop-crash-handlers-'));
const pluginsFolder = join(folder, 'plugins');
mkdirSync(join(pluginsFolder, 'migrations'), { recursive: true });
for (const [path, text] of Object.entries(plugins))
  await Bun.write(join(pluginsFolder, path), text);
const port = await freePort();
const random = randomFrom(seed);

/** Runs that fail say so; of interest where a line of the report is not 0. */
const log = openSync(join(folder, 'log'), 'a');

const bellhop = bellhopAt(values.binary);
const start = () => startBroker(bellhop, port, folder, { HANDLER_WORKERS: '2' }, log);

const acknowledged = new Set<string>();
/** How often each report came. */
const reports = new Map<string, number>();
let publishing = true;

async function startPhone(index: number): Promise<CrashClient> {
  const user = `user-${index}`;
  let sent = 0;
  const client = new CrashClient({
    port,
    clientIdentifier: `phone-${index}`,
    token: await mint(user, 'device'),
    version: index % 2 === 0 ? 5 : 4,
    subscriptions: [{ topicFilter: `${user}_moved`, qos: 2 }],
    received: (_topic, payload) => {
      const { command } = JSON.parse(payload) as { command: string };
      reports.set(command, (reports.get(command) ?? 0) + 1);
    },
  });
  client.onRoom = () => {
    while (publishing && client.open && client.inFlight < WINDOW) {
      const command = `${user}-${++sent}`;
      const way = ways[Math.floor(random() * ways.length)];
      const from = Math.floor(random() * ACCOUNTS);
      const to = Math.floor(random() * ACCOUNTS);
      const amount = 1 + Math.floor(random() * 50);
      const payload = JSON.stringify({ command, from, to, amount, way });
      client.publish('move', payload, index % 3 === 0 ? 2 : 1, false, () => {
        acknowledged.add(command);
      });
    }
  };
  await client.ready();
  return client;
}

function missingReports(): number {
  let missing = 0;
  for (const command of acknowledged) if (!reports.has(command)) missing++;
  return missing;
}

console.log(`crash-handlers: ${cycles} cycles, seed ${seed}, port ${port}, data ${folder}`);
let broker = start();
const phones: CrashClient[] = [];
for (let index = 0; index < PHONES; index++) phones.push(await startPhone(index));
for (let cycle = 1; cycle <= cycles; cycle++) {
  while (!phones.some((phone) => phone.open)) await Bun.sleep(5);
  await Bun.sleep(Math.floor(random() * 400));
  broker.kill('SIGKILL');
  await broker.exited;
  broker = start();
  if (cycle % 50 === 0) console.log(`cycle ${cycle}: ${acknowledged.size} commands acknowledged`);
}
publishing = false;
const deadline = Date.now() + DRAIN_MS;
const noted = new Database(join(folder, 'data', 'store.sqlite'));
const count = (sql: string): number => (noted.query(sql).get() as { n: number } | null)?.n ?? 0;
const drained = (): boolean =>
  phones.every((phone) => phone.inFlight === 0) &&
  missingReports() === 0 &&
  count('select count(*) as n from noted') >= acknowledged.size;
while (!drained() && Date.now() < deadline) await Bun.sleep(50);
const refusals = phones.reduce((sum, phone) => sum + phone.refusals.length, 0);
for (const phone of phones) phone.drop();
broker.kill('SIGTERM');
await broker.exited;

const failures = {
  'money made or lost': Math.abs(
    count('select sum(balance) as n from account') - ACCOUNTS * BALANCE,
  ),
  'commands without effect': [...acknowledged].filter(
    (command) => noted.query('select 1 from moved where command = ?').get(command) === null,
  ).length,
  'commands with more than one effect':
    count('select count(*) as n from moved') -
    count('select count(distinct command) as n from moved'),
  'commands that were not passed on': [...acknowledged].filter(
    (command) => noted.query('select 1 from noted where command = ?').get(command) === null,
  ).length,
  'commands that were passed on more than once':
    count('select count(*) as n from noted') -
    count('select count(distinct command) as n from noted'),
  'reports lost': missingReports(),
  'reports that came more than once': [...reports.values()].filter((times) => times > 1).length,
  refusals,
};
const again = count('select count(*) as n from moved where attempt > 1');
noted.close();

console.log(
  `${cycles} kills, ${acknowledged.size} commands acknowledged to ${PHONES} phones, ${reports.size} reports, ${again} commands took more than one attempt`,
);
for (const [name, times] of Object.entries(failures)) console.log(`${name}: ${times}`);
const failed = Object.values(failures).some((times) => times !== 0);
if (failed) console.log(`what is left of it: ${folder}`);
else rmSync(folder, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
