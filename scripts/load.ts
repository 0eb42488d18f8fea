/** What the scripts share that put load on a broker of their own: a free port, tokens, and packets. */
import { createServer } from 'node:net';
import { SignJWT } from 'jose';
import { encode } from '../core/mqtt/codec.ts';
import { type Connect, plainConnect, type QoS } from '../core/mqtt/packet.ts';

/** The secret of brokers that scripts start; they are gone when the script is. */
export const SECRET = 'secret-of-a-script-with-32-bytes-or-more';

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** A token; the role handler may use any topic. */
export async function mint(user: string, role: 'handler' | 'device' = 'handler'): Promise<string> {
  return await new SignJWT({ role })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user)
    .setExpirationTime('1d')
    .sign(new TextEncoder().encode(SECRET));
}

/** A CONNECT of 3.1.1. */
export function connectFrame(clientIdentifier: string, token: string, stored: boolean): Uint8Array {
  const packet: Connect = {
    ...plainConnect,
    type: 'connect',
    protocolVersion: 4,
    cleanStart: !stored,
    keepAliveSeconds: 0,
    clientIdentifier,
    userName: 'JWT',
    password: new TextEncoder().encode(token),
    sessionExpiryInterval: stored ? 0xffff_ffff : 0,
  };
  return encode(packet, 4);
}

/** A SUBSCRIBE of 3.1.1 to one filter. */
export function subscribeFrame(topicFilter: string, maximumQoS: QoS): Uint8Array {
  const subscriptions = [
    {
      topicFilter,
      maximumQoS,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0 as const,
    },
  ];
  return encode(
    { type: 'subscribe', packetIdentifier: 1, subscriptionIdentifier: undefined, subscriptions },
    4,
  );
}

/** A PUBLISH of 3.1.1; the Packet Identifier is 0 at QoS 0. */
export function publishFrame(
  topic: string,
  qos: QoS,
  packetIdentifier: number,
  payload: Uint8Array,
): Uint8Array {
  return encode(
    {
      type: 'publish',
      dup: false,
      qos,
      retain: false,
      topic,
      packetIdentifier,
      topicAlias: undefined,
      messageExpiryInterval: undefined,
      subscriptionIdentifiers: undefined,
      properties: undefined,
      payload,
    },
    4,
  );
}
