/**
 * The loop. Everything that reaches the broker comes through here, and everything that the broker
 * notes down leaves from here.
 *
 * A turn is what one poll of the event loop brings: all its bytes, ends and timers. The broker takes
 * them one by one, and when they are through the turn settles: verdicts go in, commands go out, and
 * each connection that was sent something is written to, once. `setImmediate` is what runs behind
 * the last callback of a poll; a microtask runs behind each, and a timer a millisecond late.
 *
 * No note of the Outbox calls back into the broker: what comes of it waits for `settle`.
 */
import type { Broker } from '../broker/broker.ts';
import type { Change, Sequence, SessionNumber } from '../broker/changes.ts';
import type { BrokerEvent, ConnectionId, Millis, Origin, Outbox } from '../broker/outbox.ts';
import type { Message } from '../mqtt/packet.ts';
import { Alarm } from './alarm.ts';
import { SteadyClock } from './clock.ts';
import { type NetCounters, newNetCounters } from './counters.ts';
import { Insiders } from './insiders.ts';
import type { Link, Transport } from './link.ts';
import { Sockets } from './sockets.ts';
import { Verdicts, type Verify } from './verdicts.ts';

export interface TurnOptions {
  /** Makes the broker over this turn's notes: `(outbox) => createBroker({ outbox, … })`. */
  readonly broker: (outbox: Outbox) => Broker;
  readonly verify: Verify;
  /**
   * Takes a command for the plugins, behind the broker's back: it may call `inside.sent`, and
   * `inside.handled` where the number is not 0.
   */
  readonly handle: Outbox['handle'];
  /** Where what must last goes; undefined where all is in memory alone. */
  readonly storage?: Journal | undefined;
  /** Takes a message for the other nodes; it must not call back. */
  readonly forward: (message: Message) => void;
  /** Takes an event for the log; it must not call back. */
  readonly report: (event: BrokerEvent) => void;
  readonly clock?: SteadyClock;
  readonly counters?: NetCounters;
  /** Idle time before a peer that the broker wants probed is probed by TCP; 0 for never. */
  readonly tcpKeepAliveMs?: number;
  /** How long a closed connection has to take what was sent and to end. */
  readonly closeTimeoutMs?: number;
  /** How many closed connections may linger at a time. */
  readonly maximumLingering?: number;
}

/** The storage as the loop sees it. What comes of it is told to `Turn.inside`. */
export interface Journal {
  keep(change: Change): void;
  fetch(session: SessionNumber, after: Sequence, limit: number, bytes: number): void;
  /** The turn is over: what was kept may go. */
  post(): void;
}

/** Unwritten bytes of one turn, over all connections, from which on it writes between two of its inputs. */
const LONG_TURN_BYTES = 4 * 1024 * 1024;
/** After the broker failed in `passed`, so that a deadline that always fails does not spin the loop. */
const FAULT_PAUSE_MS = 1_000;

export class Turn implements Outbox {
  readonly broker: Broker;
  /** For whoever is no connection. */
  readonly inside: Insiders;
  readonly clock: SteadyClock;
  readonly counters: NetCounters;
  readonly #options: TurnOptions;
  readonly #sockets: Sockets;
  /** Whether a turn has begun and is still to settle. */
  #begun = false;
  #begunAt = 0;
  #now: Millis;
  readonly #verdicts: Verdicts;
  readonly #alarm: Alarm;
  #commands: Parameters<Outbox['handle']>[] = [];

  constructor(options: TurnOptions) {
    this.#options = options;
    this.clock = options.clock ?? new SteadyClock();
    this.counters = options.counters ?? newNetCounters();
    this.#now = this.clock.now();
    this.#sockets = new Sockets(
      this.counters,
      options.closeTimeoutMs ?? 5_000,
      options.maximumLingering ?? 1_000,
    );
    this.#alarm = new Alarm(this.clock, this.#wake);
    this.#verdicts = new Verdicts(
      options.verify,
      this.clock,
      () => this.#begin(),
      (thrown) => this.#fault(undefined, thrown),
    );
    this.broker = options.broker(this);
    this.inside = new Insiders(
      this.broker,
      () => this.#begin(),
      (thrown) => this.#fault(undefined, thrown),
    );
    this.#alarm.set(this.broker.nextDeadline());
  }

  // What happens to sockets: called by transports.

  /** A socket was accepted. Its bytes, drains and end are to be told with the link that is returned. */
  opened(transport: Transport, origin: Origin): Link {
    const link = this.#sockets.add(transport);
    const now = this.#begin();
    try {
      this.broker.opened(link.id, origin, now);
    } catch (error) {
      this.#fault(link, error);
    }
    return link;
  }

  /** What a closed connection still says is thrown away. */
  received(link: Link, bytes: Uint8Array): void {
    if (link.state !== 'open') return;
    const now = this.#begin();
    this.#sockets.heard(link);
    try {
      this.broker.received(link.id, bytes, now);
    } catch (error) {
      this.#fault(link, error);
    }
    // A long turn must not look like slow readers to the broker.
    if (this.#sockets.unwritten > LONG_TURN_BYTES) this.#sockets.write(this.#written);
  }

  /** The socket takes bytes again. */
  drained(link: Link): void {
    this.#sockets.drained(link);
    this.#begin();
  }

  /** The socket is gone, by whomever. */
  lost(link: Link): void {
    if (this.#sockets.remove(link)) this.#guarded((now) => this.broker.lost(link.id, now));
  }

  /** A handler of a socket threw: a bug of the shell. */
  failed(link: Link | undefined, thrown: unknown): void {
    this.#fault(link, thrown);
  }

  /** Ends every connection in good order; `empty` tells when the last is gone. */
  shutDown(): void {
    this.#sockets.unboundLingering();
    this.#guarded((now) => this.broker.shutDown(now));
  }

  /** Resolves as soon as there is no connection. */
  empty(): Promise<void> {
    return this.#sockets.empty();
  }

  /** Cuts what is left and stops the clock's wheels. */
  stop(): void {
    this.#alarm.stop();
    this.#sockets.stop();
  }

  /** Sockets that stand, those of closed connections included. */
  get sockets(): number {
    return this.#sockets.size;
  }

  /** Closed connections whose sockets stand. */
  get lingering(): number {
    return this.#sockets.lingering;
  }

  // What the broker notes down: the Outbox.

  send(to: ConnectionId, bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#sockets.send(to, bytes, start, end);
  }

  share(to: ConnectionId, bytes: Uint8Array): void {
    this.#sockets.share(to, bytes);
  }

  close(connection: ConnectionId): void {
    const link = this.#sockets.open(connection);
    if (link !== undefined) this.#sockets.close(link);
  }

  pause(connection: ConnectionId): void {
    this.#sockets.pause(connection);
  }

  resume(connection: ConnectionId): void {
    this.#sockets.resume(connection);
  }

  probe(connection: ConnectionId): void {
    const idleMs = this.#options.tcpKeepAliveMs ?? 0;
    if (idleMs > 0) this.#sockets.open(connection)?.transport.setKeepAlive(true, idleMs);
  }

  verify(connection: ConnectionId, token: string): void {
    void this.#verdicts.ask(connection, token);
  }

  handle(...command: Parameters<Outbox['handle']>): void {
    this.#commands.push(command);
  }

  keep(change: Change): void {
    this.#options.storage?.keep(change);
  }

  fetch(session: SessionNumber, after: Sequence, limit: number, bytes: number): void {
    this.#options.storage?.fetch(session, after, limit, bytes);
  }

  forward(message: Message): void {
    this.#options.forward(message);
  }

  report(event: BrokerEvent): void {
    this.#options.report(event);
  }

  // The turn.

  /** The turn's time; begins a turn where none is under way. */
  #begin(): Millis {
    if (!this.#begun) {
      this.#begun = true;
      this.#now = this.clock.now();
      this.#begunAt = performance.now();
      setImmediate(this.#settle);
    }
    return this.#now;
  }

  #settle = (): void => {
    this.#giveVerdicts();
    this.#handOverCommands();
    this.#sockets.write(this.#written);
    this.#guarded(() => this.#options.storage?.post());
    this.#begun = false;
    this.#alarm.set(this.broker.nextDeadline());
    this.counters.turnSeconds.observe((performance.now() - this.#begunAt) / 1_000);
  };

  #giveVerdicts(): void {
    for (const verdict of this.#verdicts.take()) {
      const link = this.#sockets.open(verdict.connection);
      if (link === undefined) continue;
      try {
        this.broker.verified(verdict, this.#now);
      } catch (error) {
        this.#fault(link, error);
      }
    }
  }

  #handOverCommands(): void {
    if (this.#commands.length === 0) return;
    for (const [command, number, state] of this.#commands.splice(0)) {
      try {
        this.#options.handle(command, number, state);
      } catch (error) {
        this.#fault(undefined, error);
      }
    }
  }

  /** Tells the broker how much of what it sent still waits. */
  #written = (link: Link): void => {
    try {
      this.broker.flushed(link.id, link.waiting, this.#now);
    } catch (error) {
      this.#fault(link, error);
    }
  };

  #wake = (): void => {
    const now = this.#begin();
    try {
      this.broker.passed(now);
    } catch (error) {
      this.#alarm.rest(FAULT_PAUSE_MS);
      this.#fault(undefined, error);
    }
  };

  #guarded(call: (now: Millis) => void): void {
    const now = this.#begin();
    try {
      call(now);
    } catch (error) {
      this.#fault(undefined, error);
    }
  }

  /** Our own bug: it costs the connection that it happened on, and nobody else. */
  #fault(link: Link | undefined, thrown: unknown): void {
    this.counters.faults++;
    this.#options.report({
      kind: 'fault',
      party: {
        connection: link?.id,
        address: undefined,
        user: undefined,
        clientIdentifier: undefined,
      },
      error: thrown instanceof Error ? thrown : new Error(String(thrown)),
    });
    if (link === undefined || link.state !== 'open') return;
    this.#sockets.close(link);
    this.#guarded((now) => this.broker.lost(link.id, now));
  }
}
