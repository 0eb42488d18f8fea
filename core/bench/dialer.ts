/**
 * The sockets of a load test: opens connections, some at a time or so many a second, moves bytes between
 * them and their clients, and writes once for each that has something to say when a poll is over.
 */
import type { Socket, SocketHandler, TLSOptions } from 'bun';
import type { Client } from './client.ts';
import { type Ticks, ticksNow, ticksOfSeconds } from './clock.ts';
import { Histogram } from './histogram.ts';

export interface Target {
  readonly hostname: string;
  readonly port: number;
  /** Undefined without TLS. */
  readonly tls: TLSOptions | undefined;
}

export interface DialOptions {
  /** Connections are spread over them. */
  readonly targets: readonly Target[];
  /** Handshakes at a time. */
  readonly parallel: number;
  /** Connections to begin in a second; undefined for as fast as it goes. */
  readonly perSecond: number | undefined;
  readonly timeoutSeconds: number;
}

/** Time for the other side to close as well. */
const CLOSE_MS = 1_000;

/** A client on its socket. */
class Line {
  readonly client: Client;
  readonly begunAt: Ticks;
  readonly settled: (failure: string | undefined) => void;
  socket: Socket<Line> | undefined = undefined;
  isDirty = false;
  isSettled = false;

  constructor(client: Client, begunAt: Ticks, settled: (failure: string | undefined) => void) {
    this.client = client;
    this.begunAt = begunAt;
    this.settled = settled;
  }
}

export class Dialer {
  /** From the start of the connection to CONNACK and, where there are subscriptions, SUBACK. */
  readonly connectTimes = new Histogram();
  bytesSent = 0;
  bytesReceived = 0;
  /** Connections that ended after they were ready, and nobody here had asked for it. */
  disconnects = 0;
  firstFailure: string | undefined = undefined;
  /** Called once behind the callbacks of a poll in which something happened, before what waits is written. */
  beforeFlush: () => void = () => {};
  readonly #options: DialOptions;
  readonly #handlers: SocketHandler<Line>;
  readonly #lines = new Map<Client, Line>();
  readonly #dirty: Line[] = [];
  #isFlushDue = false;
  /** Ends the wait for connections that are being made. */
  #giveUp: (why: Error) => void = () => {};
  #begun = 0;

  constructor(options: DialOptions) {
    this.#options = options;
    this.#handlers = this.#makeHandlers();
  }

  /** How many of its connections are open. */
  get size(): number {
    return this.#lines.size;
  }

  get pingsAwaited(): number {
    let count = 0;
    for (const { client } of this.#lines.values()) count += client.pingsAwaited;
    return count;
  }

  /** Resolves once each client is ready; rejects with the first reason why one cannot be. */
  async connect(clients: readonly Client[]): Promise<void> {
    const { parallel, perSecond, timeoutSeconds } = this.#options;
    const startedAt = ticksNow();
    const deadline = startedAt + ticksOfSeconds(timeoutSeconds);
    let next = 0;
    let ready = 0;
    let pending = 0;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#giveUp = reject;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = setTimeout(
      () =>
        reject(new Error(`${ready} of ${clients.length} connections within ${timeoutSeconds} s`)),
      timeoutSeconds * 1_000,
    );
    const proceed = (): void => {
      if (ready === clients.length) return resolve();
      while (next < clients.length && pending < parallel) {
        const now = ticksNow();
        if (perSecond !== undefined) {
          const waitTicks = startedAt + ticksOfSeconds(next / perSecond) - now;
          if (waitTicks > 0) {
            timer ??= setTimeout(() => {
              timer = undefined;
              proceed();
            }, waitTicks / 10_000);
            return;
          }
        }
        if (now > deadline) return;
        pending++;
        this.#begin(clients[next++] as Client, (failure) => {
          pending--;
          if (failure !== undefined) return reject(new Error(failure));
          ready++;
          proceed();
        });
      }
    };
    proceed();
    try {
      await promise;
    } finally {
      clearTimeout(late);
      clearTimeout(timer);
    }
  }

  /** What waits for this client leaves behind the callbacks of this poll. */
  touch(client: Client): void {
    const line = this.#lines.get(client);
    if (line !== undefined) this.#mark(line);
  }

  /** Has `beforeFlush` called and what waits written, behind the callbacks of this poll. */
  flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.#flush);
  }

  /** Writes what waits at once. */
  flushNow(): void {
    for (const line of this.#dirty) {
      line.isDirty = false;
      this.#write(line);
    }
    this.#dirty.length = 0;
  }

  /** Sends PINGREQ where a client has been silent for half of its Keep Alive. */
  keepAlive(now: Ticks): void {
    for (const line of this.#lines.values()) {
      const { client } = line;
      const half = ticksOfSeconds(client.identity.keepAliveSeconds / 2);
      if (half > 0 && now - client.lastSentAt >= half) this.#ping(line);
    }
  }

  /** Sends PINGREQ on every connection. */
  ping(): void {
    for (const line of this.#lines.values()) this.#ping(line);
  }

  #ping(line: Line): void {
    if (line.client.state !== 'ready') return;
    line.client.ping();
    this.#mark(line);
  }

  /** Ends the connections of these clients; a stored session stays behind. */
  leave(clients: readonly Client[]): void {
    for (const client of clients) {
      const line = this.#lines.get(client);
      if (line !== undefined) this.#end(line, 'stays');
    }
  }

  /** Ends every connection in good order, and without it where the broker does not join in. */
  close(): void {
    this.#giveUp(new Error('ended while connecting'));
    const lines = [...this.#lines.values()];
    for (const line of lines) this.#end(line, 'ends');
    const timer = setTimeout(() => {
      for (const line of lines) line.socket?.terminate();
    }, CLOSE_MS);
    timer.unref();
  }

  #end(line: Line, session: 'ends' | 'stays'): void {
    this.#lines.delete(line.client);
    line.isSettled = true;
    if (line.client.outgoing.length === 0 && line.client.state === 'ready') {
      line.client.disconnect(session);
      this.#write(line);
    }
    line.client.state = 'closed';
    line.socket?.end();
  }

  #begin(client: Client, settled: (failure: string | undefined) => void): void {
    const { targets } = this.#options;
    const target = targets[this.#begun++ % targets.length] as Target;
    const line = new Line(client, ticksNow(), settled);
    this.#lines.set(client, line);
    Bun.connect({
      hostname: target.hostname,
      port: target.port,
      data: line,
      socket: this.#handlers,
      ...(target.tls === undefined ? {} : { tls: target.tls }),
    }).catch((error: Error) => {
      const where = `${target.hostname} port ${target.port}`;
      this.#lost(line, `${where}: ${error.message}; does a broker listen there?`);
    });
  }

  #makeHandlers(): SocketHandler<Line> {
    const isSecure = this.#options.targets.some((target) => target.tls !== undefined);
    const isLenient = this.#options.targets.every(({ tls }) => tls?.rejectUnauthorized === false);
    const begin = (socket: Socket<Line>): void => {
      const line = socket.data;
      line.socket = socket;
      if (line.isSettled) return void socket.end();
      line.client.opened();
      this.#write(line);
    };
    return {
      open: (socket) => {
        if (!isSecure) begin(socket);
      },
      ...(isSecure && {
        handshake: (socket: Socket<Line>, success: boolean, error: Error | null) => {
          // What is wrong with a certificate is told here even where nobody minds; a handshake that
          // broke off is followed by the end of the socket in any case.
          if (isLenient || (success && error === null)) return begin(socket);
          this.#lost(socket.data, `TLS: ${error?.message ?? 'the handshake failed'}`);
          socket.terminate();
        },
      }),
      data: (socket, bytes) => this.#received(socket.data, bytes),
      drain: (socket) => {
        this.#write(socket.data);
        this.flushSoon();
      },
      close: (socket) => {
        const detail = `the broker closed the connection${this.#guess(socket.data)}`;
        this.#lost(socket.data, detail);
      },
      error: (socket, error) => {
        this.#lost(socket.data, error.message);
        socket.terminate();
      },
    };
  }

  #received(line: Line, bytes: Uint8Array): void {
    const { client } = line;
    if (client.state === 'closed') return;
    this.bytesReceived += bytes.length;
    const now = ticksNow();
    try {
      client.received(bytes, now);
    } catch (error) {
      const { message } = error as Error;
      const guess = this.#guess(line);
      client.failure ??= guess === '' ? message : `what came is no MQTT (${message})${guess}`;
    }
    if (client.failure !== undefined) {
      this.#lost(line, client.failure);
      line.socket?.terminate();
      return;
    }
    if (!line.isSettled && client.state === 'ready') {
      line.isSettled = true;
      this.connectTimes.record(Math.min(0xffff_ffff, Math.round(now - line.begunAt)));
      line.settled(undefined);
    }
    if (client.outgoing.length > 0) this.#mark(line);
    this.flushSoon();
  }

  /** What may be wrong where a connection fails before the broker has said a word of MQTT. */
  #guess({ client }: Line): string {
    if (client.state !== 'new' && client.state !== 'connecting') return '';
    const isSecure = this.#options.targets.some((target) => target.tls !== undefined);
    const port = isSecure ? 'without TLS (mqtt://)' : 'for TLS (mqtts://)';
    const version = client.identity.version === 5 ? ', or has it no MQTT 5 (--mqtt-version)' : '';
    return ` in answer to CONNECT; is its port one ${port}${version}?`;
  }

  #lost(line: Line, detail: string): void {
    const { client } = line;
    if (client.state === 'closed') return;
    client.state = 'closed';
    client.outgoing.clear();
    this.#lines.delete(client);
    this.firstFailure ??= detail;
    if (line.isSettled) {
      this.disconnects++;
      return;
    }
    line.isSettled = true;
    line.settled(detail);
  }

  #mark(line: Line): void {
    if (!line.isDirty) {
      line.isDirty = true;
      this.#dirty.push(line);
    }
    this.flushSoon();
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    this.beforeFlush();
    this.flushNow();
  };

  #write(line: Line): void {
    const { client, socket } = line;
    const { outgoing } = client;
    if (socket === undefined || outgoing.length === 0) return;
    const taken = socket.write(outgoing.bytes, outgoing.start, outgoing.length);
    if (taken <= 0) return;
    this.bytesSent += taken;
    client.lastSentAt = ticksNow();
    outgoing.taken(taken);
  }
}
