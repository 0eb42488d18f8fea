/**
 * Two clients who have nothing to do with handlers: one publishes at QoS 0, the other publishes each
 * message back, and the first knows how long that took. Messages go out when they are due, whether or
 * not those before them have come back, so a broker that stalls is seen by all that it holds up.
 */
import type { Socket } from 'bun';
import type { Histogram } from '../../core/bench/histogram.ts';
import { decode } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import { connectFrame, mint, publishFrame, subscribeFrame } from '../load.ts';

const THERE = 'pair/there';
const BACK = 'pair/back';
/** How often is looked for messages that are due. */
const TICK_MS = 1;

/** Who is told of what has come back. */
interface Came {
  take: (sentAtMs: number) => void;
}

export class Pair {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #rate: number;
  readonly #came: Came;

  static async open(port: number, rate: number): Promise<Pair> {
    const came: Came = { take: () => {} };
    const near = await connected(port, 'near', BACK, (payload) => {
      came.take(readTime(payload));
    });
    const far: Socket = await connected(port, 'far', THERE, (payload) => {
      far.write(publishFrame(BACK, 0, 0, payload));
    });
    return new Pair(near, far, rate, came);
  }

  private constructor(near: Socket, far: Socket, rate: number, came: Came) {
    this.#near = near;
    this.#far = far;
    this.#rate = rate;
    this.#came = came;
  }

  /** Goes on for so long, then waits for what is under way; returns how many messages did not come back. */
  async measure(histogram: Histogram, seconds: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wanted = Math.round(seconds * this.#rate);
    const beganAtMs = performance.now();
    let sent = 0;
    let back = 0;
    this.#came.take = (sentAtMs) => {
      histogram.record(Math.round((performance.now() - sentAtMs) * 1_000));
      if (++back === wanted) resolve();
    };
    const timer = setInterval(() => {
      const due = Math.min(wanted, ((performance.now() - beganAtMs) / 1_000) * this.#rate);
      while (sent < due) {
        this.#near.write(publishFrame(THERE, 0, 0, timeNow()));
        sent++;
      }
    }, TICK_MS);
    const latest = setTimeout(resolve, seconds * 1_000 + 10_000);
    await promise;
    clearInterval(timer);
    clearTimeout(latest);
    this.#came.take = () => {};
    return wanted - back;
  }

  close(): void {
    this.#near.terminate();
    this.#far.terminate();
  }
}

function timeNow(): Uint8Array {
  return new Uint8Array(Float64Array.of(performance.now()).buffer);
}

function readTime(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, 8).getFloat64(0, true);
}

/** Resolves when it is connected, and subscribed to `topicFilter`. */
async function connected(
  port: number,
  clientIdentifier: string,
  topicFilter: string,
  take: (payload: Uint8Array) => void,
): Promise<Socket> {
  const framer = new Framer(1 << 20);
  const ready = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(from, chunk) {
        framer.push(new Uint8Array(chunk));
        while (framer.next()) {
          const packet = decode(framer.bytes, framer.start, framer.end, 4);
          if (packet.type === 'publish') take(packet.payload);
          else if (packet.type === 'suback') ready.resolve();
          else if (packet.type === 'connack' && packet.reasonCode === 0) {
            from.write(subscribeFrame(topicFilter, 0));
          } else ready.reject(new Error(`${clientIdentifier}: a ${packet.type} came`));
        }
      },
      close: () => ready.reject(new Error(`${clientIdentifier}: the connection was closed`)),
      error: (_, error) => ready.reject(error),
    },
  });
  socket.write(connectFrame(clientIdentifier, await mint('pair'), false));
  await ready.promise;
  return socket;
}
