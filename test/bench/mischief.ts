/** A broker on a free port that does to messages what a test asks for, so that a load test has something to find. */
import type { Socket, TCPSocketListener } from 'bun';
import { decode, encode } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import type { Packet, Publish } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';

interface Peer {
  readonly framer: Framer;
  readonly filters: string[];
}

/** What becomes of the `count`-th message of all, from 1. */
export type Mischief = (count: number) => 'pass' | 'lose' | 'twice' | 'later' | 'cut';

export class MischievousBroker {
  readonly port: number;
  readonly #listener: TCPSocketListener<Peer>;
  readonly #peers = new Set<Socket<Peer>>();
  readonly #mischief: Mischief;
  #count = 0;
  #held: Publish | undefined;

  constructor(mischief: Mischief) {
    this.#mischief = mischief;
    this.#listener = Bun.listen<Peer>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (socket) => {
          socket.data = { framer: new Framer(1 << 20), filters: [] };
          this.#peers.add(socket);
        },
        data: (socket, bytes) => this.#read(socket, bytes),
        close: (socket) => void this.#peers.delete(socket),
      },
    });
    this.port = this.#listener.port;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }

  #read(socket: Socket<Peer>, bytes: Uint8Array): void {
    const { framer, filters } = socket.data;
    framer.push(new Uint8Array(bytes));
    while (framer.next()) {
      const packet = decode(framer.bytes, framer.start, framer.end, 4);
      const reasonCode = ReasonCode.Success;
      if (packet.type === 'connect') {
        send(socket, { type: 'connack', sessionPresent: false, reasonCode });
      } else if (packet.type === 'subscribe') {
        const { packetIdentifier, subscriptions } = packet;
        filters.push(...subscriptions.map(({ topicFilter }) => topicFilter));
        const reasonCodes = subscriptions.map(() => reasonCode);
        send(socket, { type: 'suback', packetIdentifier, reasonCodes });
      } else if (packet.type === 'pingreq') {
        send(socket, { type: 'pingresp' });
      } else if (packet.type === 'publish') {
        const { packetIdentifier, qos } = packet;
        if (qos === 1) send(socket, { type: 'puback', packetIdentifier, reasonCode });
        this.#pass(packet);
      }
    }
  }

  #pass(packet: Publish): void {
    const what = this.#mischief(++this.#count);
    if (what === 'later') {
      this.#held = { ...packet, payload: packet.payload.slice() };
      return;
    }
    if (what === 'cut') for (const peer of this.#receivers(packet)) peer.terminate();
    if (what === 'lose' || what === 'cut') return;
    this.#deliver(packet);
    if (what === 'twice') this.#deliver(packet);
    if (this.#held !== undefined) this.#deliver(this.#held);
    this.#held = undefined;
  }

  #deliver(packet: Publish): void {
    for (const peer of this.#receivers(packet)) send(peer, packet);
  }

  #receivers({ topic }: Publish): Socket<Peer>[] {
    return [...this.#peers].filter(({ data }) => data.filters.includes(topic));
  }
}

function send(socket: Socket<Peer>, packet: Packet): void {
  socket.write(encode(packet, 4));
}
