/**
 * One simulated run with crashes, by its seed: clients that remember what they owe, brokers that die,
 * and a disk that outlives them. `run` returns what was lost, came twice or came late.
 */
import type { Broker } from '../../core/broker/broker.ts';
import type { ConnectionId, Outbox } from '../../core/broker/outbox.ts';
import type { TopicFilter } from '../../core/mqtt/topic.ts';
import { RememberingClient } from '../../scripts/crash/remembering-client.ts';
import { FakeStorage } from '../store/fake-storage.ts';
import { Ledger } from '../store/ledger.ts';
import { COMMANDS, CrashPlugins } from './crash-plugins.ts';
import { durableBroker, failureOf } from './durable-broker.ts';
import { Random } from './random.ts';

const STEPS = 240;
const WINDOW = 4;

/** One client and its network, which holds bytes both ways until they are moved on. */
class Station {
  readonly client: RememberingClient;
  connection: ConnectionId | undefined = undefined;
  toBroker: Uint8Array[] = [];
  toClient: Uint8Array[] = [];

  constructor(client: RememberingClient) {
    this.client = client;
  }
}

class Track {
  sent = 0;
  readonly acknowledged = new Set<number>();
}

export class CrashSimulation {
  readonly #random: Random;
  #disk = new Ledger();
  #storage: FakeStorage;
  #broker: Broker;
  #now = 1_000_000;
  #connections = 0;
  readonly #stations: Station[] = [];
  readonly #publishers: Station[] = [];
  readonly #tracks = new Map<string, Track>();
  /** By receiver and topic, what came, in order of arrival. */
  readonly #got = new Map<string, number[]>();
  readonly #kept = new Track();
  readonly plugins: CrashPlugins;
  #verdicts: ConnectionId[] = [];
  readonly failures: string[] = [];
  /** For the report: how much happened. */
  crashes = 0;
  #publishing = true;
  /** Receivers whose subscriptions are on disk: what is published before is not for them. */
  readonly #ready = new Set<string>();
  /** Every other run has a disk that fails at times. */
  readonly #diskFails: boolean;
  #looked: number | undefined = undefined;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#diskFails = seed % 2 === 0;
    this.plugins = new CrashPlugins(this.#random, this.failures);
    [this.#broker, this.#storage] = this.#boot();
    for (const [name, version] of [
      ['receiver-a', 5],
      ['receiver-b', 4],
    ] as const) {
      const { client } = this.#station(name, version, [
        { topicFilter: 'q1/#', qos: 1 },
        { topicFilter: 'q2/#', qos: 2 },
        { topicFilter: 'out', qos: 2 },
      ]);
      client.onReady = () => void this.#ready.add(name);
    }
    for (const [name, version, qos] of [
      ['one', 5, 1],
      ['two', 4, 2],
      ['three', 5, 2],
      ['commander', 5, 2],
    ] as const) {
      const station = this.#station(name, version, []);
      this.#publishers.push(station);
      const topic = name === 'commander' ? 'command/x' : `q${qos}/${name}`;
      const track = new Track();
      this.#tracks.set(topic, track);
      station.client.onRoom = () => {
        if (!this.#publishing || this.#ready.size < 2) return;
        if (!station.client.open || station.client.inFlight >= WINDOW) return;
        if (name === 'one' && this.#random.chance(0.3)) return this.#keep(station);
        const number = ++track.sent;
        station.client.publish(topic, String(number), qos, false, () =>
          track.acknowledged.add(number),
        );
      };
    }
  }

  /** A retained value goes up; one publisher alone keeps it, so that the last one is the largest. */
  #keep(station: Station): void {
    const number = ++this.#kept.sent;
    station.client.publish('kept', String(number), 1, true, () =>
      this.#kept.acknowledged.add(number),
    );
  }

  #station(
    name: string,
    version: 4 | 5,
    subscriptions: { topicFilter: string; qos: 0 | 1 | 2 }[],
    received: (topic: string, payload: string, qos: number) => void = (topic, payload, qos) =>
      topic === 'out'
        ? this.plugins.received(name, payload)
        : this.#receive(name, topic, Number(payload), qos),
  ): Station {
    const client = new RememberingClient({
      clientIdentifier: name,
      token: name,
      version,
      subscriptions,
      received: (topic, payload, packet) => received(topic, payload, packet.qos),
    });
    const station = new Station(client);
    this.#stations.push(station);
    return station;
  }

  #receive(name: string, topic: string, number: number, qos: number): void {
    const key = `${name} ${topic}`;
    const got = this.#got.get(key) ?? [];
    this.#got.set(key, got);
    if (got.includes(number)) {
      if (qos === 2) this.failures.push(`${key}: ${number} came twice`);
      return;
    }
    // A refusal that is lost with its connection has its message come again, behind later ones.
    const late = number < Math.max(0, ...got);
    if (late && !this.#diskFails) this.failures.push(`${key}: ${number} came late`);
    got.push(number);
  }

  #boot(): [Broker, FakeStorage] {
    const storage = new FakeStorage(
      {
        stored: (count) => {
          this.#broker.stored(count, this.#now);
          this.plugins.stored(count);
        },
        fetched: (found) => this.#broker.fetched(found, this.#now),
        status: (status) => this.#broker.storage(failureOf(status), this.#now),
        fault: (detail) => this.failures.push(detail),
      },
      this.#disk,
    );
    const broker = durableBroker(this.#outbox(storage), this.#now);
    this.plugins.boot(storage);
    broker.handles([COMMANDS as TopicFilter], [], this.#now);
    broker.restore(storage.snapshot(), this.#now);
    this.plugins.booted();
    return [broker, storage];
  }

  #outbox(storage: FakeStorage): Outbox {
    const send = (to: ConnectionId, bytes: Uint8Array): void => {
      this.#stationOf(to)?.toClient.push(new Uint8Array(bytes));
    };
    return {
      send,
      share: send,
      close: (connection) => {
        const station = this.#stationOf(connection);
        if (station === undefined) return;
        this.#deliver(station);
        this.#disconnect(station);
      },
      pause: () => {},
      resume: () => {},
      probe: () => {},
      verify: (connection) => this.#verdicts.push(connection),
      handle: (...command) => this.plugins.handle(...command),
      keep: (change) => {
        this.plugins.kept(change);
        storage.keep(change);
      },
      fetch: (...wanted) => storage.fetch(...wanted),
      forward: () => {},
      report: (event) => {
        if (event.kind === 'fault') this.failures.push(String(event.error.stack));
        if (event.kind === 'violation') this.failures.push(event.detail);
        if (event.kind === 'dropped') this.failures.push(`dropped: ${event.reason}`);
      },
    };
  }

  #stationOf(connection: ConnectionId): Station | undefined {
    return this.#stations.find((station) => station.connection === connection);
  }

  #connect(station: Station): void {
    const connection = ++this.#connections;
    station.connection = connection;
    this.#broker.opened(connection, { transport: 'mqtt', address: '127.0.0.1' }, this.#now);
    station.client.connected((bytes) => {
      if (station.connection === connection) station.toBroker.push(new Uint8Array(bytes));
    });
  }

  /** The station hears no more of its connection. */
  #disconnect(station: Station): void {
    station.connection = undefined;
    station.toBroker = [];
    station.toClient = [];
    station.client.lost();
  }

  /** What the broker sent reaches the client. */
  #deliver(station: Station): void {
    for (const bytes of station.toClient.splice(0)) {
      if (station.connection !== undefined) station.client.read(bytes);
    }
  }

  #move(station: Station): void {
    const bytes = station.toBroker.shift();
    if (bytes === undefined || station.connection === undefined) return;
    this.#broker.received(station.connection, bytes, this.#now);
    this.#storage.post();
  }

  #verdict(): void {
    const connection = this.#verdicts.shift();
    const station = connection === undefined ? undefined : this.#stationOf(connection);
    if (connection === undefined || station === undefined) return;
    const identity = {
      user: 'somebody',
      role: 'handler',
      expiresAtMs: Number.POSITIVE_INFINITY,
      grants: undefined,
    } as const;
    this.#broker.verified({ kind: 'accept', connection, identity }, this.#now);
    this.#storage.post();
  }

  #crash(): void {
    this.crashes++;
    this.#disk = this.#storage.crash(this.#random.chance(0.5));
    this.#verdicts = [];
    for (const station of this.#stations) {
      // What had left the broker may still be on its way, or not.
      if (this.#random.chance(0.5)) this.#deliver(station);
      this.#disconnect(station);
    }
    [this.#broker, this.#storage] = this.#boot();
  }

  #step(): void {
    const random = this.#random;
    const station = random.pick(this.#stations);
    this.#now += random.below(50);
    switch (
      random.weighted({
        move: 40,
        deliver: 30,
        disk: 25,
        verdict: 12,
        work: 10,
        letters: 5,
        lose: 3,
        crash: 3,
        fail: 1,
      })
    ) {
      case 'move':
        if (station.connection === undefined) this.#connect(station);
        return this.#move(station);
      case 'deliver':
        this.#deliver(station);
        return station.client.onRoom();
      case 'disk':
        if (random.chance(0.3)) this.#storage.heal();
        return void this.#storage.step();
      case 'verdict':
        return this.#verdict();
      case 'work':
        this.plugins.work(this.#broker, this.#now);
        return this.#storage.post();
      case 'letters':
        if (random.chance(0.2)) this.plugins.giveUpUnstored(this.#broker, this.#now);
        else this.plugins.clear(this.#broker, this.#now);
        return this.#storage.post();
      case 'lose':
        if (station.connection === undefined) return;
        this.#broker.lost(station.connection, this.#now);
        this.#storage.post();
        return this.#disconnect(station);
      case 'crash':
        return this.#crash();
      case 'fail':
        if (this.#diskFails) this.#storage.fail();
        return;
    }
  }

  /** Everybody comes back, and whatever is under way arrives. */
  #settle(): void {
    this.#storage.heal();
    for (let round = 0; round < 2_000; round++) {
      let busy = this.#storage.step();
      if (!this.#publishing) busy ||= this.plugins.work(this.#broker, this.#now, true);
      this.#storage.post();
      while (this.#verdicts.length > 0) this.#verdict();
      for (const station of this.#stations) {
        if (station.connection === undefined) this.#connect(station);
        busy ||= station.toBroker.length + station.toClient.length > 0;
        while (station.toBroker.length > 0 && station.connection !== undefined) this.#move(station);
        this.#deliver(station);
      }
      if (!busy && this.#storage.idle && this.#verdicts.length === 0) return;
    }
    this.failures.push('does not come to rest');
  }

  run(): string[] {
    for (let step = 0; step < STEPS && this.failures.length === 0; step++) this.#step();
    this.#publishing = false;
    this.#settle();
    // SUBACK that was refused while the disk failed is asked for again with a new connection.
    for (const station of this.#stations) {
      if (station.connection === undefined) continue;
      this.#broker.lost(station.connection, this.#now);
      this.#disconnect(station);
    }
    this.#settle();
    this.#station('looker', 5, [{ topicFilter: 'kept', qos: 1 }], (_topic, payload) => {
      this.#looked = Number(payload);
    });
    this.#settle();
    this.#check();
    return this.failures;
  }

  #check(): void {
    for (const { client } of this.#publishers) {
      if (client.inFlight > 0) this.failures.push(`${client.inFlight} messages never acknowledged`);
    }
    for (const receiver of ['receiver-a', 'receiver-b']) {
      for (const [topic, { acknowledged }] of this.#tracks) {
        if (topic === 'command/x') continue;
        const got = new Set(this.#got.get(`${receiver} ${topic}`));
        for (const number of acknowledged) {
          if (got.has(number)) continue;
          this.failures.push(`${receiver} ${topic}: ${number} was acknowledged and is lost`);
        }
      }
    }
    const { acknowledged } = this.#tracks.get('command/x') as Track;
    this.plugins.check(acknowledged, ['receiver-a', 'receiver-b']);
    const atLeast = Math.max(0, ...this.#kept.acknowledged);
    if ((this.#looked ?? 0) < atLeast) {
      this.failures.push(`the retained value is ${this.#looked}, but ${atLeast} was acknowledged`);
    }
  }
}
