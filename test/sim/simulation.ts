/**
 * One simulated run: the real core, the model beside it, and between simulated clients and both of
 * them a network that delays, splits, merges and loses. Everything follows from the seed. After every
 * step the broker's output is held against the model; at the end everything comes to rest, and what
 * was promised must have arrived.
 */
import { type Broker, type BrokerOptions, createBroker } from '../../core/broker/broker.ts';
import type { ConnectionId, Millis, Verification } from '../../core/broker/outbox.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { MemoryStorage } from '../storage.ts';
import { Acts } from './acts.ts';
import { checkBooks } from './books.ts';
import { SimClient } from './client.ts';
import { check, Failure } from './failure.ts';
import { Model } from './model.ts';
import { SET_BACK_MS } from './model-time.ts';
import { Link } from './network.ts';
import { type Note, type Noted, NoteTaker, type Tamper } from './notes.ts';
import { Observer } from './observer.ts';
import { Random } from './random.ts';
import { type ClientPlan, makeScenario, type Scenario } from './scenario.ts';
import { Threads } from './threads.ts';
import { brief, tell as tellPacket } from './trace.ts';

/** What a mutation test changes about the broker, so that the checks have something to find. */
export interface Sabotage {
  /** Not sabotage at all: whether there is storage, which is slow but does not fail. */
  readonly durable?: boolean | undefined;
  /** Nor is this: who takes part, where it is not the dice that say so. */
  readonly scenario?: Scenario | undefined;
  readonly tamper?: ((random: Random) => Tamper) | undefined;
  readonly options?: ((options: BrokerOptions) => BrokerOptions) | undefined;
  readonly broker?: ((broker: Broker, random: Random) => Broker) | undefined;
}

export interface RunReport {
  readonly steps: number;
  readonly published: number;
  readonly delivered: number;
}

/** Lines of the trace that a failure shows; SIM_TRACE asks for more. */
const TRACE = Number(process.env.SIM_TRACE ?? 40);
const STARTED_AT = 1_750_000_000_000;

/** Runs `seed`; throws a Failure with the seed and the last steps where the broker is found at fault. */
export function simulate(seed: number, sabotage: Sabotage = {}): RunReport {
  const simulation = new Simulation(seed, sabotage);
  try {
    return simulation.run();
  } catch (error) {
    const what = error instanceof Failure ? error.message : String((error as Error).stack);
    const trace = simulation.trace.slice(-TRACE).join('\n  ');
    throw new Failure(`seed ${seed}: ${what}\n  ${trace}\nSIM_SEED=${seed} repeats it`);
  }
}

export class Simulation {
  readonly random: Random;
  readonly scenario: Scenario;
  readonly trace: string[] = [];
  readonly links = new Map<ConnectionId, Link>();
  readonly clients: readonly { readonly plan: ClientPlan; readonly client: SimClient }[];
  readonly model: Model;
  readonly broker: Broker;
  /** Every token ever made, and what it stands for. */
  readonly tokens = new Map<string, Verification>();
  /** Tokens that are being checked. */
  readonly verdicts: { readonly connection: ConnectionId; readonly token: string }[] = [];
  now: Millis = STARTED_AT;
  published = 0;
  delivered = 0;
  readonly #observer: Observer;
  readonly #taker: NoteTaker;
  readonly threads: Threads;
  readonly #dirty = new Set<Link>();
  #lastLink = 0;
  #steps = 0;

  constructor(seed: number, sabotage: Sabotage) {
    this.random = new Random(seed);
    const random = this.random;
    this.scenario = sabotage.scenario ?? makeScenario(random);
    const { limits, policy } = this.scenario;
    this.clients = this.scenario.clients.map((plan) => ({
      plan,
      client: new SimClient(plan.person.user, plan.clientIdentifier, plan.version, random),
    }));
    // Sabotage has dice of its own: the run up to it is that of the same seed without it.
    const packets = (): number => this.broker.counters.packetsReceived;
    const durable = sabotage.durable === true;
    const storage = durable ? new MemoryStorage() : undefined;
    this.#taker = new NoteTaker(packets, storage, sabotage.tamper?.(new Random(~seed)));
    this.threads = new Threads(this, storage, this.#taker.fetches);
    let assigned = 0;
    this.model = new Model(limits, policy, durable, () => `assigned-${assigned}`);
    this.#observer = new Observer(this.model);
    const options: BrokerOptions = {
      outbox: this.#taker,
      limits,
      policy,
      assignClientIdentifier: () => `assigned-${++assigned}`,
      version: 'simulated',
      startedAt: STARTED_AT,
      durable,
    };
    const broker = createBroker(sabotage.options?.(options) ?? options);
    this.broker = sabotage.broker?.(broker, new Random(~seed)) ?? broker;
  }

  run(): RunReport {
    const acts = new Acts(this);
    acts.begin();
    for (let left = this.random.between(150, 300); left > 0; left--) {
      this.#steps++;
      this.#moveTime();
      if (this.random.chance(0.3)) this.threads.work();
      acts.any();
    }
    this.comeToRest(acts);
    return { steps: this.#steps, published: this.published, delivered: this.delivered };
  }

  // What the shell does: one call into the core, then its notes are acted on.

  /**
   * `call` happens to the broker, and `tell` tells the model the same. What the broker sent is looked
   * at packet by packet of what came in, so that each is held against what was so at that moment.
   */
  turn(what: string, call: () => void, tell: () => void, from?: ConnectionId): void {
    this.trace.push(`${this.now - STARTED_AT} ms: ${what}`);
    let packets = this.broker.counters.packetsReceived;
    call();
    const notes = this.#taker.take();
    let next = 0;
    try {
      tell();
      for (;;) {
        for (; notes[next]?.packets === packets; next++) this.#act((notes[next] as Noted).note);
        if (from === undefined || !this.model.step(from)) break;
        packets++;
      }
      const worked = this.broker.counters.packetsReceived;
      check(worked === packets, `${worked - packets} packets more were read than could be`);
      this.#observer.endTurn();
    } catch (error) {
      for (const { note } of notes.slice(next)) {
        if (note.kind === 'packet') this.trace.push(`  ! to ${note.connection}: ${brief(note)}`);
      }
      throw error;
    }
    checkBooks(this.broker, this.model);
    this.#flush();
  }

  #act(note: Note): void {
    const delivery = this.#observer.observe(note);
    switch (note.kind) {
      case 'packet': {
        const link = this.#link(note.connection);
        if (delivery !== undefined) this.delivered++;
        this.trace.push(`    to ${note.connection}: ${brief(note, delivery)}`);
        link.arrive(note.packet, note.size, delivery);
        this.#dirty.add(link);
        return;
      }
      case 'close': {
        const link = this.#link(note.connection);
        this.trace.push(`    closes ${note.connection}`);
        link.closedByBroker = true;
        this.links.delete(link.id);
        if (link.client.link !== link) return;
        // The client reads what was flushed before, or the network loses some of it.
        const read = this.random.chance(0.7) ? link.toClient.length : 0;
        const session = this.model.connections.get(link.id)?.session;
        for (const each of link.toClient.splice(0, read)) {
          link.client.read(each.packet, each.delivery, session);
        }
        link.client.leave();
        return;
      }
      case 'pause':
      case 'resume': {
        const link = this.links.get(note.connection);
        if (link !== undefined) link.paused = note.kind === 'pause';
        return;
      }
      case 'handle':
        if (note.number !== 0) this.threads.commands.push(note.number);
        return;
      case 'verify':
        this.verdicts.push({ connection: note.connection, token: note.token });
        return;
      default:
    }
  }

  #link(id: ConnectionId): Link {
    const link = this.links.get(id);
    check(link !== undefined, `there is no connection ${id}`);
    return link;
  }

  /** The shell writes once per turn, and tells how much the socket did not take. */
  #flush(): void {
    for (const link of this.#dirty) {
      this.#dirty.delete(link);
      this.tellBacklog(link);
    }
  }

  tellBacklog(link: Link): void {
    if (!this.links.has(link.id)) return;
    const waiting = link.backlog;
    link.waitingBytes = waiting;
    this.turn(
      `${waiting} bytes wait for ${link.id}`,
      () => this.broker.flushed(link.id, waiting, this.now),
      () => {
        this.model.now = this.now;
        this.#observer.flushed(this.model.connection(link.id), waiting);
      },
    );
  }

  open(client: SimClient): Link {
    const link = new Link(++this.#lastLink, client);
    this.links.set(link.id, link);
    this.#taker.open(link.id, client.version);
    const origin = { transport: 'mqtts', address: '127.0.0.1' } as const;
    this.turn(
      `${client} (version ${client.version}) opens ${link.id}`,
      () => this.broker.opened(link.id, origin, this.now),
      () => this.model.opened(link.id, client.version, this.now),
    );
    return link;
  }

  /** The next `count` bytes of a link reach the broker. */
  deliver(link: Link, count: number): void {
    const { bytes, complete } = link.take(count);
    const packets = complete.map((each) =>
      'packet' in each ? tellPacket(each.packet) : 'violation',
    );
    this.turn(
      `${bytes.length} bytes from ${link.id}: ${packets.join(', ')}`,
      () => this.broker.received(link.id, bytes, this.now),
      () => this.model.received(link.id, complete, this.now),
      link.id,
    );
  }

  lose(link: Link): void {
    this.links.delete(link.id);
    if (link.client.link === link) link.client.leave();
    this.#taker.forget(link.id);
    this.turn(
      `${link.id} of ${link.client} is lost`,
      () => this.broker.lost(link.id, this.now),
      () => this.model.lost(link.id, this.now),
    );
  }

  /** The client reads `count` packets of what has arrived. */
  read(link: Link, count: number): void {
    const session = this.model.connections.get(link.id)?.session;
    for (const each of link.toClient.splice(0, count)) {
      link.unreadBytes -= each.size;
      if (link.client.link === link) link.client.read(each.packet, each.delivery, session);
    }
    if (link.backlog !== link.waitingBytes) this.tellBacklog(link);
  }

  /** A verdict on a token comes in. */
  judge(index: number): void {
    const [{ connection, token } = { connection: 0, token: '' }] = this.verdicts.splice(index, 1);
    const known = this.tokens.get(token);
    check(known !== undefined, `a token to check that nobody made: ${token}`);
    const late = known.kind === 'accept' && known.identity.expiresAtMs <= this.now;
    const result: Verification =
      late && this.random.chance(0.5)
        ? {
            kind: 'refuse',
            connection,
            reasonCode: ReasonCode.NotAuthorized,
            detail: 'token expired',
          }
        : { ...known, connection };
    this.turn(
      `token of ${connection}: ${result.kind}`,
      () => this.broker.verified(result, this.now),
      () => this.model.verified(result, this.now),
      connection,
    );
    const renewed = this.links.get(connection);
    if (renewed !== undefined) renewed.client.renewing = false;
  }

  // Time.

  #moveTime(): void {
    const { random } = this;
    const kind = random.weighted({ step: 970, wait: 22, jump: 3, back: 5 });
    switch (kind) {
      case 'step':
        this.now += random.between(1, 30);
        break;
      case 'wait':
        this.now += random.between(1_000, 20_000);
        break;
      case 'jump':
        this.now += random.between(1, 12) * 3_600_000;
        break;
      case 'back':
        this.now -= random.between(1, SET_BACK_MS);
        break;
      default:
        kind satisfies never;
    }
    this.settleTime();
  }

  /** The shell's one timer. */
  settleTime(): void {
    for (let rounds = 0; ; rounds++) {
      const next = this.broker.nextDeadline();
      if (next === undefined || next > this.now) break;
      check(rounds < 100, `a deadline at ${next - STARTED_AT} ms is due again and again`);
      this.turn(
        'deadlines have passed',
        () => this.broker.passed(this.now),
        () => this.model.passed(this.now),
      );
    }
    this.model.now = this.now;
    this.#observer.endPassing();
  }

  // The end of a run.

  /** Every session's client comes back, everybody reads, and time stands still. */
  comeToRest(acts = new Acts(this)): void {
    for (const link of [...this.links.values()]) this.lose(link);
    this.drain();
    // Again for those that were cut off meanwhile, as slow readers of what others sent them at once.
    for (let round = 0; round < 10; round++) {
      for (const { plan, client } of this.clients) {
        if (client.ready || !this.model.sessions.has(`${client}`)) continue;
        acts.comeBack(plan, client);
        this.drain();
      }
    }
    this.trace.push('everything is at rest');
    this.#observer.atRest();
    for (const { client } of this.clients) {
      if (!client.ready) continue;
      const left = client.outgoing.values().next().value;
      check(left === undefined, `never acknowledged to ${client}: ${left?.packet.topic}`);
    }
    const { queuedMessages } = this.broker.counters;
    check(queuedMessages === 0, `${queuedMessages} messages are still queued`);
  }

  /** Until nothing is under way any more. */
  drain(): void {
    for (let rounds = 0; ; rounds++) {
      check(rounds < 1_000, 'the world does not come to rest');
      let moved = this.threads.work();
      while (this.verdicts.length > 0) {
        this.judge(0);
        moved = true;
      }
      for (const link of [...this.links.values()]) {
        link.capacityBytes = Number.POSITIVE_INFINITY;
        if (link.toClient.length > 0 || link.waitingBytes > 0) {
          this.read(link, link.toClient.length);
          moved = true;
        }
        const count = Math.min(link.bytesToBroker, 100);
        if (count > 0 && !link.paused && this.links.has(link.id)) {
          this.deliver(link, count);
          moved = true;
        }
      }
      if (!moved) return;
    }
  }
}
