/** The life of one client: CONNECT, SUBSCRIBE, PUBLISH, its own message back, DISCONNECT. */
import type { Socket } from 'bun';
import { connectFrame, publishFrame, subscribeFrame } from '../load.ts';

export interface Client {
  /** Client Identifier. */
  readonly name: string;
  readonly token: string;
  /** Whether it leaves a session that its next life comes back to. */
  readonly stored: boolean;
  /** Whether it ends without a PUBACK and a DISCONNECT. */
  readonly vanishes: boolean;
  readonly subscribesTo: string;
  readonly publishesTo: string;
  /** Told apart by it is the message of this life. */
  readonly life: number;
}

const DISCONNECT = Uint8Array.of(0xe0, 0);
const PAYLOAD_BYTES = 64;
const Type = { Connack: 2, Publish: 3, Suback: 9 } as const;

/**
 * Whether it got its own message; a stored session may bring one of an earlier life first. All that comes
 * is acknowledged, so that what the broker has to keep does not grow. Packets of the broker are small
 * and come whole on loopback, one behind the other.
 */
export function live(client: Client, port: number, tls: boolean): Promise<boolean> {
  const { name, token, stored, vanishes } = client;
  const payload = Buffer.alloc(PAYLOAD_BYTES, String(client.life).padStart(16));
  return new Promise((resolve) => {
    void Bun.connect({
      hostname: '127.0.0.1',
      port,
      ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
      socket: {
        open: (socket) => void socket.write(connectFrame(name, token, stored)),
        data(socket, bytes) {
          for (let at = 0; at < bytes.length; ) {
            const packet = bytes.subarray(at, at + 2 + (bytes[at + 1] as number));
            at += packet.length;
            switch ((packet[0] as number) >> 4) {
              case Type.Connack:
                if (packet[3] !== 0) return void socket.terminate();
                socket.write(subscribeFrame(client.subscribesTo, 1));
                break;
              case Type.Suback:
                socket.write(publishFrame(client.publishesTo, 1, 7, payload));
                break;
              case Type.Publish: {
                const isOwn = payload.equals(packet.subarray(-PAYLOAD_BYTES));
                if (!(isOwn && vanishes)) socket.write(pubackFor(packet));
                if (!isOwn) break;
                resolve(true);
                return leave(socket, vanishes);
              }
              default: // the PUBACK to its own
            }
          }
        },
        close: () => resolve(false),
        error: () => resolve(false),
      },
    }).catch(() => resolve(false));
  });
}

function leave(socket: Socket, vanishes: boolean): void {
  if (vanishes) socket.terminate();
  else {
    socket.write(DISCONNECT);
    socket.end();
  }
}

/** The PUBACK of 3.1.1 to a PUBLISH of QoS 1. */
function pubackFor(publish: Buffer): Uint8Array {
  const at = 4 + publish.readUInt16BE(2); // behind the fixed header and the topic
  return Uint8Array.of(0x40, 2, publish[at] as number, publish[at + 1] as number);
}
