/**
 * The two stories that must always work (design section 2): over MQTTS, with the shipped example
 * handlers dropped into the plugins folder or, the same files, run as a process of their own, and with clients that this project did not write.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Broker, Folder, run } from './executable.ts';
import { type Phone, type PhoneMaker, phoneMakers } from './phones.ts';
import { Handlers } from './remote-process.ts';

setDefaultTimeout(60_000);

const shipped = join(import.meta.dir, '..', '..', 'plugins');

/** Where the handlers run: in the broker, or as a process of their own. */
type Place = 'plugins' | 'remote';

/** A broker in a folder of its own, with the shipped handlers beside it. */
class World implements AsyncDisposable {
  readonly folder = new Folder();
  readonly #place: Place;
  #broker: Broker | undefined;
  #handlers: Handlers | undefined;

  constructor(place: Place = 'plugins') {
    this.#place = place;
    cpSync(shipped, join(this.folder.path, place), { recursive: true });
  }

  get broker(): Broker {
    if (this.#broker === undefined) throw new Error('the broker was not started');
    return this.#broker;
  }

  async start(): Promise<void> {
    this.#broker = await Broker.start(this.folder);
    if (this.#place === 'plugins') return;
    const args = ['--plugins-dir', this.#place];
    this.#handlers = await Handlers.start(this.folder, this.#broker, args);
  }

  async stop(): Promise<void> {
    this.broker.signal('SIGTERM');
    expect(await this.broker.ended()).toBe(0);
  }

  async phone({ open }: PhoneMaker, user: string): Promise<Phone> {
    const { code, out } = await run(this.folder, ['token', '--sub', user]);
    expect(code).toBe(0);
    const cafile = join(this.folder.path, 'data', 'tls.crt');
    return open({ broker: this.broker, user, token: out.trim(), cafile });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handlers?.[Symbol.asyncDispose]();
    await this.#broker?.[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}

const worlds: readonly (PhoneMaker & { readonly place: Place; readonly where: string })[] = [
  ...phoneMakers.map((maker) => ({ ...maker, place: 'plugins' as const, where: 'the broker' })),
  ...phoneMakers.map((maker) => ({ ...maker, place: 'remote' as const, where: 'another process' })),
];

describe.each([...worlds])('$name, handlers in $where', (maker) => {
  let world: World;
  let phone1: Phone;
  let phone2: Phone;
  beforeAll(async () => {
    world = new World(maker.place);
    await world.start();
    phone1 = await world.phone(maker, '68946');
    phone2 = await world.phone(maker, '23412');
  });
  afterAll(async () => {
    await phone1?.[Symbol.asyncDispose]();
    await phone2?.[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  test('add a contact: request, approval, and phone 1 shows it', async () => {
    await phone1.subscribe('68946_contact_approved');
    await phone2.subscribe('23412_contact_requested');
    await phone1.publish('request_contact', '{"to":"23412"}');
    expect(await phone2.inbox.next()).toBe('23412_contact_requested {"from":"68946"}');
    await phone2.publish('accept_contact', '{"from":"68946"}');
    expect(await phone1.inbox.next()).toBe('68946_contact_approved {"by":"23412"}');
  });

  test('list the contacts', async () => {
    await phone1.subscribe('68946_contact_list');
    await phone1.publish('get_contact_list', '');
    expect(await phone1.inbox.next()).toBe('68946_contact_list {"contacts":["23412"]}');
    await phone2.subscribe('23412_contact_list');
    await phone2.publish('get_contact_list', '{}');
    expect(await phone2.inbox.next()).toBe('23412_contact_list {"contacts":["68946"]}');
  });
});

test('the contacts are still there after a restart, and the broker said nothing alarming', async () => {
  await using world = new World();
  const [maker] = phoneMakers;
  if (maker === undefined) throw new Error('there is no client');
  await world.start();
  {
    await using phone1 = await world.phone(maker, '68946');
    await using phone2 = await world.phone(maker, '23412');
    await phone1.subscribe('68946_contact_approved');
    await phone2.subscribe('23412_contact_requested');
    await phone1.publish('request_contact', '{"to":"23412"}');
    await phone2.inbox.next();
    await phone2.publish('accept_contact', '{"from":"68946"}');
    await phone1.inbox.next();
  }
  await world.stop();
  const { lines } = world.broker;
  expect(
    lines.filter((line) => /"level":"(warn|error)"/.test(line) && !/MQTT without TLS/.test(line)),
  ).toEqual([]);
  expect(lines.filter((line) => line.includes('plugin loaded')).length).toBe(1);
  await world.start();
  await using phone = await world.phone(maker, '68946');
  await phone.subscribe('68946_contact_list');
  await phone.publish('get_contact_list', '');
  expect(await phone.inbox.next()).toBe('68946_contact_list {"contacts":["23412"]}');
});
