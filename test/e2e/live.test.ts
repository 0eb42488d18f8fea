/** The plugins folder changes under a phone that goes on publishing: everything is answered once, and nobody is disconnected. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { connect } from './connect.ts';
import { Broker, Folder } from './executable.ts';

setDefaultTimeout(60_000);

/** A phone that publishes numbered commands of QoS 1 until it is stopped, and notes what is answered. */
class Phone {
  /** The versions that each command was answered by, by its number. */
  readonly answers = new Map<number, string[]>();
  published = 0;
  acknowledged = 0;
  /** What went wrong. */
  readonly troubles: string[] = [];
  readonly #client: MqttClient;
  readonly #stream: NodeJS.Timeout;
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  static async start(broker: Broker, user: string): Promise<Phone> {
    const client = await connect(broker, user);
    await client.subscribeAsync(`${user}_counted`, { qos: 1 });
    return new Phone(client);
  }

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (_, payload) => {
      const { n, version } = JSON.parse(payload.toString());
      this.answers.set(n, [...(this.answers.get(n) ?? []), version]);
      this.#look();
    });
    client.on('close', () => this.troubles.push('closed'));
    client.on('error', (error) => this.troubles.push(error.message));
    this.#stream = setInterval(() => {
      const n = ++this.published;
      client.publishAsync('count', JSON.stringify({ n }), { qos: 1 }).then(
        () => this.acknowledged++,
        (error) => this.troubles.push(`${n}: ${error.message}`),
      );
    }, 5);
  }

  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ holds, resolve });
      this.#look();
    });
  }

  /** Resolves when `count` more commands were answered. */
  more(count: number): Promise<void> {
    const wanted = this.answers.size + count;
    return this.until(() => this.answers.size >= wanted);
  }

  /** Resolves when a command was answered by this version. */
  async sees(version: string): Promise<void> {
    await this.until(() => [...this.answers.values()].some((each) => each.includes(version)));
  }

  async stop(): Promise<void> {
    clearInterval(this.#stream);
    await this.until(() => this.answers.size === this.published);
    const troubles = [...this.troubles];
    await this.#client.endAsync();
    this.troubles.splice(0, this.troubles.length, ...troubles);
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }
}

class Plugins {
  readonly path: string;

  constructor(folder: Folder) {
    this.path = join(folder.path, 'plugins');
  }

  rename(path: string, text: string): void {
    const to = join(this.path, path);
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(`${to}.swp`, text);
    renameSync(`${to}.swp`, to);
  }

  /** Empties the file, and writes it in two halves, with `meanwhile` between all steps. */
  async truncate(path: string, text: string, meanwhile: () => Promise<void>): Promise<void> {
    const file = openSync(join(this.path, path), 'w');
    await meanwhile();
    writeSync(file, text.slice(0, text.length / 2));
    writeSync(file, text.slice(text.length / 2));
    closeSync(file);
  }
}

const counts = (version: string) => `import { defineHandler } from 'bellhop';
import { helper } from './lib/helper.ts';

export default defineHandler({
  topic: 'count',
  run({ input, user, send, store }) {
    store.run\`insert into seen (n) values (\${input.n})\`;
    send(user.id, 'counted', { n: input.n, version: helper('${version}') });
  },
});
`;
const helper = (text: string) => `export const helper = (version) => version + '${text}';\n`;

test('twenty changes by rename, truncation, a helper, mistakes and removal: each command is answered once', async () => {
  using folder = new Folder();
  const plugins = new Plugins(folder);
  plugins.rename('lib/helper.ts', helper('a'));
  plugins.rename('count.ts', counts('01'));
  // A command that is run twice fails here.
  plugins.rename('migrations/0001_seen.sql', 'create table seen (n integer primary key);');
  await using broker = await Broker.start(folder);
  const phone = await Phone.start(broker, 'ada');
  await phone.sees('01a');

  let version = 1;
  const next = () => String(++version).padStart(2, '0');
  for (let round = 0; round < 4; round++) {
    const helped = 'abcdefgh'[2 * round] ?? '';
    const helps = 'abcdefgh'[2 * round + 1] ?? '';
    const renamed = next();
    plugins.rename('count.ts', counts(renamed));
    await phone.sees(renamed + helped);
    const truncated = next();
    await plugins.truncate('count.ts', counts(truncated), () => phone.more(20));
    await phone.sees(truncated + helped);
    plugins.rename('lib/helper.ts', helper(helps));
    await phone.sees(truncated + helps);
    const told = broker.lines.filter((line) => line.includes('its last version serves on')).length;
    plugins.rename('count.ts', `${counts('99')}\n}`);
    let refusals = 0;
    await broker.line((line) => line.includes('its last version serves on') && ++refusals > told);
    await phone.more(20);
    const mended = next();
    const last = 'abcdefgh'[2 * round + 2] ?? '';
    plugins.rename('lib/helper.ts', helper(last));
    plugins.rename('count.ts', counts(mended));
    await phone.sees(mended + last);
  }
  await phone.stop();

  expect(phone.troubles).toEqual([]);
  expect(phone.acknowledged).toBe(phone.published);
  const versions: string[] = [];
  for (let n = 1; n <= phone.published; n++) {
    const answers = phone.answers.get(n) ?? [];
    expect([n, answers.length]).toEqual([n, 1]);
    versions.push(answers[0] ?? '');
  }
  expect(versions).toEqual([...versions].sort());
  expect(versions.some((each) => each.startsWith('99'))).toBe(false);
  const refused = broker.lines.find((line) => line.includes('its last version serves on'));
  expect(refused).toContain('"at":"count.ts:12"');
  expect(broker.lines.filter((line) => line.includes('handler failed'))).toEqual([]);

  // A plugin that is removed drains and goes, with its topic.
  rmSync(join(plugins.path, 'count.ts'));
  await broker.line((line) => line.includes('plugin removed'));
  const client = await connect(broker, 'ada');
  await expect(client.publishAsync('count', '{"n":0}', { qos: 1 })).rejects.toThrow(
    'Not authorized',
  );
  await client.endAsync();
  broker.signal('SIGTERM');
  expect(await broker.ended()).toBe(0);
  const copies = join(folder.path, 'data', 'plugin-versions');
  expect(existsSync(copies) ? readdirSync(copies) : []).toEqual([]);
}, 300_000);

test('where changes are not watched for, SIGHUP takes them', async () => {
  using folder = new Folder();
  const plugins = new Plugins(folder);
  plugins.rename('lib/helper.ts', helper('a'));
  plugins.rename('count.ts', counts('01'));
  await using broker = await Broker.start(folder, [], { WATCH_PLUGINS: 'false' });
  plugins.rename('other.ts', counts('02').replaceAll('count', 'other'));
  rmSync(join(plugins.path, 'count.ts'));
  broker.signal('SIGHUP');
  const swapped = await broker.line((line) => line.includes('plugins swapped'));
  expect(JSON.parse(swapped)).toMatchObject({ version: 2, changed: 'count.ts other.ts' });
  // Nothing was watched, so both changes are one.
  expect(broker.lines.filter((line) => line.includes('plugin loaded')).length).toBe(2);
});

test('a plugin finds from its copy what it finds in the folder', async () => {
  using folder = new Folder();
  const plugins = new Plugins(folder);
  const files: { readonly [path: string]: string } = {
    'node_modules/alpha/package.json':
      '{"name":"alpha","version":"1.0.0","exports":{".":"./main.js"}}',
    'node_modules/alpha/main.js':
      'import { beta } from "beta"; export const alpha = "alpha+" + beta;',
    'node_modules/beta/package.json': '{"name":"beta","version":"1.0.0","main":"lib/main.cjs"}',
    'node_modules/beta/lib/main.cjs': 'exports.beta = require("./text.cjs");',
    'node_modules/beta/lib/text.cjs': 'module.exports = "beta1";',
    'node_modules/@scope/gamma/package.json': '{"name":"@scope/gamma","main":"main.js"}',
    'node_modules/@scope/gamma/main.js':
      'import { beta } from "beta"; export const gamma = "gamma+" + beta;',
    'node_modules/@scope/gamma/node_modules/beta/package.json': '{"name":"beta","main":"main.cjs"}',
    'node_modules/@scope/gamma/node_modules/beta/main.cjs': 'exports.beta = "beta2";',
    'deep/node_modules/own/package.json': '{"name":"own","main":"main.js"}',
    'deep/node_modules/own/main.js':
      'import { beta } from "beta"; export const own = "own+" + beta;',
    'tsconfig.json': '{ "compilerOptions": { "paths": { "~/*": ["./*"] } } }',
    'data/data.json': '{ "data": "json" }',
    'data/text.txt': 'text',
    'lib/helper.ts': 'export enum Kind { Helper = "helper" }',
    'lib/lazy.ts': 'export const lazy: string = "lazy";',
    'deep/index.ts': `import { readFileSync } from 'node:fs';
import { gamma } from '@scope/gamma';
import { alpha } from 'alpha';
import { defineHandler } from 'bellhop';
import { own } from 'own';
import { Kind } from '~/lib/helper';
import { data } from '../data/data.json';
import text from '../data/text.txt' with { type: 'text' };

export default defineHandler({
  topic: 'find',
  reply: 'found',
  async run() {
    const { lazy } = await import('../lib/lazy.ts');
    const asset = readFileSync(import.meta.dir + '/../data/text.txt', 'utf8');
    return [alpha, gamma, own, Kind.Helper, data, text, lazy, asset];
  },
});
`,
  };
  for (const [path, text] of Object.entries(files)) plugins.rename(path, text);
  await using broker = await Broker.start(folder);
  const client = await connect(broker, 'ada');
  await client.subscribeAsync('ada_found', { qos: 1 });
  const find = async (): Promise<string[]> => {
    const answer = new Promise<string>((resolve) => {
      client.once('message', (_, payload) => resolve(payload.toString()));
    });
    await client.publishAsync('find', '', { qos: 1 });
    return JSON.parse(await answer);
  };
  const found = [
    'alpha+beta1',
    'gamma+beta2',
    'own+beta1',
    'helper',
    'json',
    'text',
    'lazy',
    'text',
  ];
  expect(await find()).toEqual(found);
  // A package that changes its version is used by the workers of the swap.
  plugins.rename('node_modules/beta/lib/text.cjs', 'module.exports = "beta3";');
  plugins.rename(
    'node_modules/beta/package.json',
    '{"name":"beta","version":"1.0.30","main":"lib/main.cjs"}',
  );
  plugins.rename('data/text.txt', 'other');
  await broker.line((line) => line.includes('plugins swapped'));
  expect(await find()).toEqual([
    'alpha+beta3',
    'gamma+beta2',
    'own+beta3',
    'helper',
    'json',
    'other',
    'lazy',
    'other',
  ]);
  await client.endAsync();
});
