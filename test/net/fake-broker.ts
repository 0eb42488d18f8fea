/**
 * A broker that decides nothing: it keeps what it is told, and does what a test asks of it.
 */
import type { Broker } from '../../core/broker/broker.ts';
import { newCounters } from '../../core/broker/counters.ts';
import type {
  BrokerEvent,
  ConnectionId,
  Millis,
  Origin,
  Outbox,
  Verification,
} from '../../core/broker/outbox.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import { Turn, type TurnOptions } from '../../core/net/turn.ts';

export type Call =
  | { readonly call: 'opened'; readonly connection: ConnectionId; readonly origin: Origin }
  | { readonly call: 'received'; readonly connection: ConnectionId; readonly text: string }
  | { readonly call: 'lost'; readonly connection: ConnectionId }
  | { readonly call: 'flushed'; readonly connection: ConnectionId; readonly waitingBytes: number }
  | { readonly call: 'verified'; readonly result: Verification }
  | { readonly call: 'passed'; readonly now: Millis };

export class FakeBroker implements Broker {
  readonly counters = newCounters();
  readonly calls: Call[] = [];
  /** What the test wants to happen on a call; it runs inside of it, as the broker's own code would. */
  on: (call: Call, bytes?: Uint8Array) => void = () => {};
  deadline: Millis | undefined = undefined;
  bytesReceived = 0;
  readonly outbox: Outbox;
  #waits: { readonly until: () => boolean; readonly resolve: () => void }[] = [];

  constructor(outbox: Outbox) {
    this.outbox = outbox;
  }

  opened(connection: ConnectionId, origin: Origin, _now: Millis): void {
    this.#take({ call: 'opened', connection, origin });
  }

  received(connection: ConnectionId, bytes: Uint8Array, _now: Millis): void {
    this.bytesReceived += bytes.length;
    const text = new TextDecoder('latin1').decode(bytes.subarray(0, 4_096));
    this.#take({ call: 'received', connection, text }, bytes);
  }

  lost(connection: ConnectionId, _now: Millis): void {
    this.#take({ call: 'lost', connection });
  }

  flushed(connection: ConnectionId, waitingBytes: number, _now: Millis): void {
    this.#take({ call: 'flushed', connection, waitingBytes });
  }

  verified(result: Verification, _now: Millis): void {
    this.#take({ call: 'verified', result });
  }

  arrived(_message: Message, _now: Millis): void {}

  sent(_message: Message, _now: Millis): string | undefined {
    return undefined;
  }

  declares(): boolean {
    return false;
  }

  mayReply(): boolean {
    return false;
  }

  handles(): void {}

  scheduleOf(): undefined {}

  schedules(): void {}

  unschedules(): void {}

  tick(): void {}

  stored(): void {}

  fetched(): void {}

  storage(): void {}

  handled(): number {
    return 0;
  }

  tried(): void {}

  buried(): void {}

  letterDropped(): number {
    return 0;
  }

  enqueue(): number {
    return 0;
  }

  restore(): void {}

  passed(now: Millis): void {
    if (this.deadline !== undefined && this.deadline <= now) this.deadline = undefined;
    this.#take({ call: 'passed', now });
  }

  nextDeadline(): Millis | undefined {
    return this.deadline;
  }

  shutDown(_now: Millis): void {
    for (const { call, ...rest } of this.calls)
      if (call === 'opened') this.outbox.close((rest as { connection: ConnectionId }).connection);
  }

  /** Resolves once `condition` holds, looked at after each call. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waits.push({ until: condition, resolve }));
  }

  count(call: Call['call']): number {
    return this.calls.filter((one) => one.call === call).length;
  }

  /** Of the connection that was opened as the `index`th. */
  id(index = 0): ConnectionId {
    const opened = this.calls.filter((one) => one.call === 'opened')[index];
    if (opened?.call !== 'opened') throw new Error(`no connection ${index}`);
    return opened.connection;
  }

  /** All that `connection` has sent, as text. */
  textFrom(connection: ConnectionId): string {
    return this.calls
      .map((one) => (one.call === 'received' && one.connection === connection ? one.text : ''))
      .join('');
  }

  #take(call: Call, bytes?: Uint8Array): void {
    this.calls.push(call);
    try {
      this.on(call, bytes);
    } finally {
      const due = this.#waits.filter((wait) => wait.until());
      this.#waits = this.#waits.filter((wait) => !due.includes(wait));
      for (const wait of due) wait.resolve();
    }
  }
}

export interface Stage {
  readonly turn: Turn;
  readonly broker: FakeBroker;
  readonly events: BrokerEvent[];
}

/** A turn over a fake broker. */
export function stage(options: Partial<TurnOptions> = {}): Stage {
  const events: BrokerEvent[] = [];
  const turn = new Turn({
    broker: (outbox) => new FakeBroker(outbox),
    verify: () => Promise.reject(new Error('no verifier in this test')),
    handle: () => {},
    forward: () => {},
    report: (event) => events.push(event),
    ...options,
  });
  return { turn, broker: turn.broker as FakeBroker, events };
}
