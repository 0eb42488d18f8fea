/**
 * Histories that a broker could have: changes that follow from each other, read off a tape of
 * numbers, so that fast-check can cut a failing one down.
 */
import type {
  Change,
  DeadLetter,
  SessionNumber,
  StoredDelivery,
  StoredSubscription,
  StoredWill,
} from '../../core/broker/changes.ts';
import type { Message, MessageProperties, QoS, Reach } from '../../core/mqtt/packet.ts';
import type { TopicFilter, TopicName } from '../../core/mqtt/topic.ts';
import { Ledger } from './ledger.ts';

/** Beyond 32 bits, so that no number is cut off on its way. */
const FAR = 5_000_000_000;

const texts = ['', 'a', '423144', 'auth0|5f7c', 'Łódź 😀', 'with\u0001and', 'x'.repeat(300)];
const topics = ['a/b', 'request_contact', '423144_contact_list', '/', 'ä/😀', 'long/'.repeat(40)];

class Tape {
  readonly #numbers: readonly number[];
  #position = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get done(): boolean {
    return this.#position >= this.#numbers.length;
  }

  /** 0 to `count` - 1. */
  next(count: number): number {
    return (this.#numbers[this.#position++] ?? 0) % count;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.next(list.length)] as T;
  }

  flag(): boolean {
    return this.next(2) === 1;
  }
}

export function message(tape: { next(count: number): number }, topic: string): Message {
  const flag = () => tape.next(2) === 1;
  const pick = <T>(list: readonly T[]) => list[tape.next(list.length)] as T;
  return {
    topic: topic as TopicName,
    payload: pick([
      new Uint8Array(0),
      new Uint8Array([0]),
      Buffer.from('hello').subarray(1),
      new Uint8Array(9_000).fill(7),
    ]),
    qos: tape.next(3) as QoS,
    retain: flag(),
    properties: flag() ? properties(flag, pick) : undefined,
    expiresAtMs: flag() ? 1_700_000_000_123 : Number.POSITIVE_INFINITY,
    publisher: { user: pick(texts), clientIdentifier: pick(texts), device: flag() },
    reach: tape.next(3) as Reach,
  };
}

function properties(flag: () => boolean, pick: <T>(list: readonly T[]) => T): MessageProperties {
  return {
    payloadFormatIndicator: pick([undefined, 0, 1] as const),
    contentType: flag() ? pick(texts) : undefined,
    responseTopic: flag() ? pick(topics) : undefined,
    correlationData: flag() ? new Uint8Array([0, 255, 128, 10]) : undefined,
    userProperties: flag()
      ? [
          ['z', '1'],
          ['a', 'Ü'],
          ['z', ''],
          ['', '2'],
        ]
      : undefined,
  };
}

/** The turns that `numbers` spell; each is a list of changes that belong together. */
export function historyOf(numbers: readonly number[]): Change[][] {
  const writer = new HistoryWriter(new Tape(numbers));
  return writer.write();
}

class HistoryWriter {
  readonly #tape: Tape;
  readonly #ledger = new Ledger();
  #lastSession = FAR;
  #lastMessage = FAR;
  #lastSequence = FAR;
  #lastPresence = FAR;
  #turn: Change[] = [];

  constructor(tape: Tape) {
    this.#tape = tape;
  }

  write(): Change[][] {
    const turns: Change[][] = [];
    while (!this.#tape.done) {
      this.#turn = [];
      for (let steps = 1 + this.#tape.next(3); steps > 0; steps--) this.#step();
      this.#ledger.settle();
      turns.push(this.#turn);
    }
    return turns;
  }

  #keep(change: Change): void {
    this.#ledger.apply(change);
    this.#turn.push(change);
  }

  #step(): void {
    const sessions = [...this.#ledger.sessions.keys()];
    if (sessions.length === 0 || this.#tape.next(12) === 0)
      return this.#session(++this.#lastSession);
    const session = this.#tape.pick(sessions);
    const steps = [
      () => this.#publish(sessions),
      () => this.#publish(sessions),
      () => this.#acknowledge(session),
      () => this.#acknowledge(session),
      () => this.#acknowledge(session),
      () => this.#handOver(session, sessions),
      () => this.#keep({ kind: 'oldest-dropped', session }),
      () => this.#subscribe(session),
      () => this.#inbound(session),
      () => this.#inbound(session),
      () => this.#retain(),
      () => this.#replay(session),
      () => this.#will(session),
      () => this.#command(),
      () => this.#command(),
      () => this.#tryCommand(),
      () => this.#tryCommand(),
      () => this.#letter(),
      () => this.#presence(),
      () => this.#schedule(),
      () => this.#session(session),
      () => this.#tape.next(3) === 0 && this.#keep({ kind: 'session-ended', session }),
    ];
    this.#tape.pick(steps)();
  }

  #session(session: SessionNumber): void {
    const tape = this.#tape;
    this.#keep({
      kind: 'session',
      session,
      user: tape.pick(texts),
      clientIdentifier: tape.pick(texts),
      expirySeconds: tape.pick([1, 3_600, 0xffff_ffff]),
      expiresAtMs: tape.pick([Number.POSITIVE_INFINITY, 1_700_000_000_000]),
    });
  }

  #message(topic: string = this.#tape.pick(topics)): number {
    const number = ++this.#lastMessage;
    this.#keep({ kind: 'message', message: number, content: message(this.#tape, topic) });
    return number;
  }

  #publish(sessions: readonly SessionNumber[]): void {
    const number = this.#message();
    const receivers = 1 + this.#tape.next(3);
    for (const session of sessions.slice(0, receivers)) this.#queue(session, number);
  }

  #queue(session: SessionNumber, number: number): void {
    const tape = this.#tape;
    const sent = tape.next(3) === 0;
    const delivery: StoredDelivery = {
      sequence: ++this.#lastSequence,
      message: number,
      qos: (1 + tape.next(2)) as QoS,
      retain: tape.flag(),
      subscriptionIdentifiers: tape.pick([undefined, undefined, [1, 268_435_455]]),
      group: tape.pick([undefined, undefined, { shareName: 'g😀', filter: 'a/+' as TopicFilter }]),
      packetIdentifier: sent ? 1 + tape.next(65_535) : 0,
      released: false,
    };
    this.#keep({ kind: 'queued', session, delivery });
  }

  #deliveryOf(session: SessionNumber): StoredDelivery | undefined {
    const deliveries = [...(this.#ledger.sessions.get(session)?.deliveries.values() ?? [])];
    return deliveries.length === 0 ? undefined : this.#tape.pick(deliveries);
  }

  /** One of its deliveries gets on a bit. */
  #acknowledge(session: SessionNumber): void {
    const delivery = this.#deliveryOf(session);
    if (delivery === undefined) return;
    const { sequence } = delivery;
    const packetIdentifier = 1 + this.#tape.next(65_535);
    if (delivery.packetIdentifier === 0) {
      this.#keep({ kind: 'sent', session, sequence, packetIdentifier });
    } else if (delivery.qos === 2 && !delivery.released) {
      this.#keep({ kind: 'released', session, sequence });
    } else {
      this.#keep({ kind: 'done', session, sequence });
    }
  }

  /** A delivery goes to another session, its message with it. */
  #handOver(session: SessionNumber, sessions: readonly SessionNumber[]): void {
    const delivery = this.#deliveryOf(session);
    if (delivery === undefined) return;
    this.#keep({ kind: 'done', session, sequence: delivery.sequence });
    if (this.#tape.flag()) this.#queue(this.#tape.pick(sessions), delivery.message);
  }

  #subscribe(session: SessionNumber): void {
    const tape = this.#tape;
    const filter = tape.pick(topics) as TopicFilter;
    const shareName = tape.pick(['', '', 'g']);
    if (tape.next(3) === 0) return this.#keep({ kind: 'unsubscribed', session, filter, shareName });
    const subscription: StoredSubscription = {
      filter,
      shareName,
      maximumQoS: tape.next(3) as QoS,
      noLocal: tape.flag(),
      retainAsPublished: tape.flag(),
      identifier: tape.pick([0, 1, 268_435_455]),
      standing: tape.next(3) as Reach,
      declares: tape.flag(),
    };
    this.#keep({ kind: 'subscribed', session, subscription });
  }

  #inbound(session: SessionNumber): void {
    const packetIdentifier = this.#tape.pick([1, 2, 65_535]);
    const held = this.#ledger.sessions.get(session)?.received.has(packetIdentifier);
    this.#keep({ kind: held ? 'freed' : 'received', session, packetIdentifier });
    if (!this.#tape.flag()) return;
    const marks = Uint32Array.of(packetIdentifier, this.#tape.next(1_000) * 4_294_967);
    this.#keep({ kind: 'recent-commands', session, marks });
  }

  #retain(): void {
    const topic = this.#tape.pick(topics) as TopicName;
    if (this.#tape.next(3) === 0) return this.#keep({ kind: 'cleared', topic });
    this.#keep({ kind: 'retained', topic, message: this.#message(topic) });
  }

  /** A retained message goes to a new subscription, however old it is. */
  #replay(session: SessionNumber): void {
    const retained = [...this.#ledger.retained.values()];
    if (retained.length > 0) this.#queue(session, this.#tape.pick(retained));
  }

  #will(session: SessionNumber): void {
    const tape = this.#tape;
    if (tape.next(3) === 0) return this.#keep({ kind: 'will-gone', session });
    const { qos, retain, payload, properties, publisher } = message(tape, 'x');
    const will: StoredWill = {
      topic: tape.pick(topics),
      payload,
      qos,
      retain,
      messageExpirySeconds: tape.pick([undefined, 0, 60]),
      properties,
      publisher,
      delaySeconds: tape.pick([0, 5, 0xffff_ffff]),
      dueAtMs: tape.pick([Number.POSITIVE_INFINITY, 1_700_000_000_000 + tape.next(1_000)]),
      role: tape.pick(['device', 'handler', 'admin']),
      grants: tape.pick([
        undefined,
        { publish: ['a/#'], subscribe: ['b/+'], retain: true, share: false },
      ]),
    };
    this.#keep({ kind: 'will', session, will });
  }

  #command(): void {
    const waiting = [...this.#ledger.commands.keys()];
    if (waiting.length > 0 && this.#tape.flag()) {
      this.#keep({ kind: 'command-done', message: this.#tape.pick(waiting) });
    } else {
      this.#keep({ kind: 'command', message: this.#message(), only: this.#handler() });
    }
  }

  #handler(): string | undefined {
    return this.#tape.pick([undefined, 'a', 'contacts/accept#2', 'ü😀']);
  }

  /** A handler of a waiting command fails with it, is done with it, or gives it up. */
  #tryCommand(): void {
    const message = this.#tape.pick([0, ...this.#ledger.commands.keys()]);
    const handler = this.#handler() ?? 'b';
    const part = this.#ledger.commands.get(message)?.parts.get(handler);
    switch (this.#tape.next(4)) {
      case 0:
        return this.#bury(message === 0 ? this.#message() : message, handler);
      case 1:
        if (message === 0) return;
        return this.#keep({ kind: 'command-part-done', message, handler });
      default:
        if (message === 0 || part?.done) return;
        this.#keep({
          kind: 'command-tried',
          message,
          handler,
          attempts: (part?.attempts ?? 0) + 1,
        });
    }
  }

  #presence(): void {
    const clientIdentifier = this.#tape.pick(texts);
    const user = this.#tape.pick(['a', '423144']);
    const kind = this.#ledger.present.has(`${user}\0${clientIdentifier}`) ? 'absent' : 'present';
    this.#keep({ kind, user, clientIdentifier, number: ++this.#lastPresence });
  }

  #schedule(): void {
    const tape = this.#tape;
    const handler = tape.pick(['a', 'contacts/accept#2', 'ü😀']);
    if (tape.next(3) === 0) return this.#keep({ kind: 'unscheduled', handler });
    const table = tape.pick(['* * * * * UTC', '0 3 * * 1 Europe/Berlin']);
    const message = tape.pick([0, ...this.#ledger.commands.keys()]);
    const throughMs = 1_700_000_000_000 + tape.next(1_000);
    this.#keep({ kind: 'scheduled', handler, table, throughMs, message });
  }

  #bury(number: number, handler: string): void {
    const tape = this.#tape;
    const content = this.#ledger.messages.get(number);
    if (content === undefined) return;
    const letter: DeadLetter = {
      message: number,
      content,
      handler,
      kind: tape.pick(['throw', 'timeout']),
      detail: tape.pick(texts),
      at: tape.pick([undefined, 'a.ts:1']),
      stack: tape.pick([undefined, 'Error\n    at a.ts:1']),
      attempts: 1 + tape.next(300),
      invocation: tape.pick(texts),
      diedAtMs: 1_700_000_000_000 + tape.next(1_000),
    };
    this.#keep({ kind: 'dead', number: ++this.#lastMessage, letter });
    if (!this.#ledger.commands.has(number)) return;
    this.#keep(
      tape.flag()
        ? { kind: 'command-done', message: number }
        : { kind: 'command-part-done', message: number, handler },
    );
  }

  /** A letter is dropped, or its message is a command again. */
  #letter(): void {
    const { letters } = this.#ledger;
    if (letters.size === 0) return;
    const [number, { handler, content }] = this.#tape.pick([...letters]);
    if (this.#tape.flag()) {
      const message = this.#message(content.topic);
      this.#keep({ kind: 'command', message, only: handler });
    }
    this.#keep({ kind: 'dead-dropped', number });
  }
}
