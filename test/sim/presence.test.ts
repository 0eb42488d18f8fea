/**
 * Presence, simulated: devices come, go and take over, with stored sessions and without; plugins are done
 * with events sooner or later, or never; the disk is slow, and the process dies at any step, after which
 * the clock may be set back. What lies on disk of each client must alternate, with numbers that grow. What a
 * plugin is told by one process must do so as well, and leave nothing out, also while the disk fails.
 *
 *     SIM_RUNS=100000 bun test test/sim/presence.test.ts    # more seeds
 *     SIM_SEED=17 SIM_RUNS=1 bun test …                     # one of them
 */
import { expect, test } from 'bun:test';
import type { Broker } from '../../core/broker/broker.ts';
import type { Change, MessageNumber } from '../../core/broker/changes.ts';
import type { ConnectionId, Outbox } from '../../core/broker/outbox.ts';
import { encode } from '../../core/mqtt/codec.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import type { Presence } from '../../core/plugins/context.ts';
import { connectPacket } from '../client.ts';
import { FakeStorage } from '../store/fake-storage.ts';
import { Ledger } from '../store/ledger.ts';
import { durableBroker, failureOf } from './durable-broker.ts';
import { Random } from './random.ts';

const runs = Number(process.env.SIM_RUNS ?? 1_000);
const firstSeed = Number(process.env.SIM_SEED ?? 1);
const STEPS = 150;
const clients = ['1/phone', '1/tablet', '2/phone'];

function readEvent({ payload }: Message): Presence {
  return JSON.parse(new TextDecoder().decode(payload));
}

function clientOf({ publisher }: Message): string {
  return `${publisher.user}/${publisher.clientIdentifier}`;
}

function perClient(): Map<string, Presence[]> {
  return new Map(clients.map((client) => [client, []]));
}

function shown(events: readonly Presence[]): string {
  return JSON.stringify(events.map(({ event, number, takeover }) => [event, number, takeover]));
}

/** A disk that remembers each presence event that ever came to it. */
class Disk extends Ledger {
  readonly log = perClient();
  count = 0;

  override apply(change: Change): void {
    super.apply(change);
    if (change.kind !== 'command') return;
    const content = this.messages.get(change.message) as Message;
    this.log.get(clientOf(content))?.push(readEvent(content));
    this.count++;
  }
}

class PresenceSimulation {
  readonly #random: Random;
  readonly #disk = new Disk();
  readonly #diskFails: boolean;
  #storage: FakeStorage;
  #broker: Broker;
  #now = 1_700_000_000_000;
  #connections = 0;
  /** Who a connection claims to be, until it is over. */
  readonly #open = new Map<ConnectionId, string>();
  #verdicts: ConnectionId[] = [];
  #waiting: MessageNumber[] = [];
  /** What a plugin was told of each client by this process. */
  #told = perClient();
  /** How many connections of each client this process accepted. */
  #accepted = new Map<string, number>();
  /** Whether what a start finds is being handed over again. */
  #restoring = false;
  crashes = 0;
  takeovers = 0;
  readonly failures: string[] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#diskFails = seed % 4 === 0;
    [this.#broker, this.#storage] = this.#boot();
  }

  get events(): number {
    return this.#disk.count;
  }

  #boot(): [Broker, FakeStorage] {
    const storage = new FakeStorage(
      {
        stored: (count) => this.#broker.stored(count, this.#now),
        fetched: (found) => this.#broker.fetched(found, this.#now),
        status: (status) => this.#broker.storage(failureOf(status), this.#now),
        fault: (detail) => this.failures.push(detail),
      },
      this.#disk,
    );
    const broker = durableBroker(this.#outbox(storage), this.#now);
    this.#waiting = [];
    this.#told = perClient();
    this.#accepted = new Map();
    broker.handles([], ['connect', 'disconnect'], this.#now);
    // In pieces, as the file gives it: commands, and then who was connected.
    const found = storage.snapshot();
    this.#restoring = true;
    broker.restore({ ...found, present: [] }, this.#now);
    this.#restoring = false;
    const empty = { sessions: [], retained: [], wills: [], commands: [], schedules: [] };
    broker.restore({ ...found, ...empty }, this.#now);
    storage.post();
    return [broker, storage];
  }

  #outbox(storage: FakeStorage): Outbox {
    return {
      send: (to, bytes, start = 0) => {
        const accepts = (bytes[start] as number) >> 4 === 2 && bytes[start + 3] === 0;
        const client = this.#open.get(to) ?? '';
        if (accepts) this.#accepted.set(client, (this.#accepted.get(client) ?? 0) + 1);
      },
      share: () => {},
      close: (connection) => void this.#open.delete(connection),
      pause: () => {},
      resume: () => {},
      probe: () => {},
      verify: (connection) => this.#verdicts.push(connection),
      handle: (command, number) => this.#handle(command, number),
      keep: (change) => storage.keep(change),
      fetch: (...wanted) => storage.fetch(...wanted),
      forward: () => {},
      report: (event) => {
        if (event.kind === 'fault') this.failures.push(String(event.error.stack));
      },
    };
  }

  #handle(command: Message, number: MessageNumber): void {
    if (number !== 0) this.#waiting.push(number);
    if (!this.#restoring) this.#told.get(clientOf(command))?.push(readEvent(command));
  }

  #connect(): void {
    const who = this.#random.pick(clients);
    const connection = ++this.#connections;
    this.#open.set(connection, who);
    this.#broker.opened(connection, { transport: 'mqtt', address: '127.0.0.1' }, this.#now);
    const cleanStart = this.#random.chance(0.5);
    const sessionExpiryInterval = this.#random.chance(0.5) ? 0 : 1_000;
    const [, clientIdentifier = ''] = who.split('/');
    const packet = connectPacket(5, clientIdentifier, {
      userName: 'JWT',
      password: new Uint8Array([1]),
      cleanStart,
      sessionExpiryInterval,
    });
    this.#broker.received(connection, encode(packet, 5), this.#now);
  }

  #verdict(): void {
    const connection = this.#verdicts.shift();
    if (connection === undefined) return;
    const [user = ''] = this.#open.get(connection)?.split('/') ?? [];
    if (user === '') return;
    const expiresAtMs = this.#now + (this.#random.chance(0.2) ? 100 : 1_000_000_000);
    const identity = { user, role: 'device', expiresAtMs, grants: undefined } as const;
    const before = this.#broker.counters.takeovers;
    this.#broker.verified({ kind: 'accept', connection, identity }, this.#now);
    this.takeovers += this.#broker.counters.takeovers - before;
  }

  #step(): void {
    const random = this.#random;
    this.#now += random.below(30);
    const open = [...this.#open.keys()];
    switch (
      random.weighted({
        ...{ connect: 20, verdict: 20, lose: 8, disconnect: 8, pass: 5, done: 15, disk: 25 },
        ...{ fail: 1, crash: 3 },
      })
    ) {
      case 'connect':
        return this.#connect();
      case 'verdict':
        return this.#verdict();
      case 'lose': {
        if (open.length === 0) return;
        const connection = random.pick(open);
        this.#open.delete(connection);
        return this.#broker.lost(connection, this.#now);
      }
      case 'disconnect':
        if (open.length === 0) return;
        return this.#broker.received(random.pick(open), new Uint8Array([0xe0, 0]), this.#now);
      case 'pass':
        return this.#broker.passed(this.#now);
      case 'done': {
        const number = this.#waiting.shift();
        if (number !== undefined) this.#broker.handled(number, undefined, this.#now);
        return;
      }
      case 'disk':
        if (random.chance(0.3)) this.#storage.heal();
        return void this.#storage.step();
      case 'fail':
        if (this.#diskFails) this.#storage.fail();
        return;
      case 'crash':
        return this.#crash();
    }
  }

  #crash(): void {
    this.crashes++;
    this.#checkTold();
    this.#storage.crash(this.#random.chance(0.5));
    this.#open.clear();
    this.#verdicts = [];
    if (this.#random.chance(0.3)) this.#now -= this.#random.below(100_000);
    [this.#broker, this.#storage] = this.#boot();
  }

  run(): string[] {
    for (let step = 0; step < STEPS && this.failures.length === 0; step++) {
      this.#step();
      this.#storage.post();
    }
    this.#broker.shutDown(this.#now);
    this.#storage.post();
    this.#storage.heal();
    while (this.#storage.step()) this.#storage.post();
    this.#checkTold();
    for (const [client, told] of this.#told) {
      const connects = told.filter(({ event }) => event === 'connect').length;
      if (told.at(-1)?.event === 'connect' || connects !== (this.#accepted.get(client) ?? 0)) {
        this.failures.push(`${client}: ${this.#accepted.get(client) ?? 0} came: ${shown(told)}`);
      }
    }
    for (const [client, log] of this.#disk.log) this.#check(client, log);
    if (this.#disk.present.size > 0) this.failures.push('somebody is present after the end');
    for (const number of this.#disk.commands.keys()) {
      if (!this.#waiting.includes(number)) this.failures.push(`${number} would be told again`);
    }
    return this.failures;
  }

  /** Of what this process told so far: each in its order, none twice, and none missing in between. */
  #checkTold(): void {
    for (const [client, told] of this.#told) {
      for (const [index, { event, number }] of told.entries()) {
        const before = told[index - 1];
        if (before === undefined) continue;
        if (number <= before.number || event === before.event) {
          this.failures.push(`${client}: out of order: ${shown(told)}`);
        }
      }
    }
  }

  #check(client: string, log: readonly Presence[]): void {
    for (const [index, { event, number, takeover }] of log.entries()) {
      const before = log[index - 1];
      if (before !== undefined && number <= before.number) {
        this.failures.push(`${client}: numbers do not grow: ${shown(log)}`);
      }
      // While the disk fails, events pass it by, and what of them was kept is not all.
      if (this.#diskFails) continue;
      if (event !== (index % 2 === 0 ? 'connect' : 'disconnect')) {
        this.failures.push(`${client}: they do not alternate: ${shown(log)}`);
      }
      if (event === 'connect' && takeover !== (before?.takeover ?? false)) {
        this.failures.push(`${client}: half a takeover: ${shown(log)}`);
      }
    }
    if (!this.#diskFails && log.length % 2 === 1) {
      this.failures.push(`${client}: no end: ${shown(log)}`);
    }
  }
}

test(
  'presence of a client alternates and its numbers grow, whatever happens',
  () => {
    let crashes = 0;
    let events = 0;
    let takeovers = 0;
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
      const simulation = new PresenceSimulation(seed);
      expect([seed, simulation.run()]).toEqual([seed, []]);
      crashes += simulation.crashes;
      events += simulation.events;
      takeovers += simulation.takeovers;
    }
    console.log(
      `simulated seeds ${firstSeed} to ${firstSeed + runs - 1}: ${crashes} crashes, ${takeovers} takeovers, ${events} events on disk`,
    );
    expect(crashes).toBeGreaterThan(runs);
    expect(takeovers).toBeGreaterThan(runs);
    expect(events).toBeGreaterThan(runs * 10);
  },
  Number.MAX_SAFE_INTEGER,
);
