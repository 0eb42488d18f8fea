/** Changes that a test can put together by hand. */
import type { Change, DeadLetter, StoredDelivery } from '../../core/broker/changes.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../../core/mqtt/topic.ts';

export const topic = 'a/b' as TopicName;
export const filter = 'a/+' as TopicFilter;

export const content: Message = {
  topic,
  payload: new Uint8Array([0, 1, 255]),
  qos: 1,
  retain: false,
  properties: undefined,
  expiresAtMs: Number.POSITIVE_INFINITY,
  publisher: { user: '68946', clientIdentifier: 'phone', device: true },
  reach: 0,
};

export function session(number: number): Change {
  return {
    kind: 'session',
    session: number,
    user: '423144',
    clientIdentifier: `client ${number}`,
    expirySeconds: 3_600,
    expiresAtMs: 1_700_000_000_000,
  };
}

export function message(number: number, payload = content.payload): Change {
  return { kind: 'message', message: number, content: { ...content, payload } };
}

export function command(message: number, only?: string): Change {
  return { kind: 'command', message, only };
}

export function dead(number: number, message: number, more: Partial<DeadLetter> = {}): Change {
  const letter: DeadLetter = {
    message,
    content,
    handler: 'contacts/accept',
    kind: 'throw',
    detail: 'no such contact: Łódź',
    at: 'contacts/accept.ts:7',
    stack: 'Error: no such contact\n    at run (contacts/accept.ts:7:9)',
    attempts: 5,
    invocation: '1a2b-7',
    diedAtMs: 1_700_000_000_000,
    ...more,
  };
  return { kind: 'dead', number, letter };
}

export function queued(
  session: number,
  sequence: number,
  message: number,
  more: Partial<StoredDelivery> = {},
): Change {
  const delivery: StoredDelivery = {
    sequence,
    message,
    qos: 1,
    retain: false,
    subscriptionIdentifiers: undefined,
    group: undefined,
    packetIdentifier: 0,
    released: false,
    ...more,
  };
  return { kind: 'queued', session, delivery };
}
