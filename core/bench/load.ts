/**
 * The load itself: publishes in a closed or an open loop, and books what arrives.
 *
 * Closed loop: each publisher has a window of messages under way, and sends as they arrive. It finds out
 * how much goes through; its latency is mostly the window over the throughput. Open loop: message k is
 * due at start + k / rate, and carries that time even if it leaves late, so that whoever holds it up, the
 * broker or this process, shows in the latency (no coordinated omission).
 */
import { Arrivals } from './arrivals.ts';
import type { Client, ClientOwner } from './client.ts';
import { ageOf, type Ticks, ticksNow, ticksOfSeconds } from './clock.ts';
import type { Dialer } from './dialer.ts';
import { Histogram } from './histogram.ts';
import type { BenchOptions } from './options.ts';
import { type Publishing, replyTopic, type Share, sizeOfPart, subscriptionTopic } from './plan.ts';
import { type PublishFrame, publishFrame } from './publish-frame.ts';
import {
  STAMP_BYTES,
  stampPublisher,
  stampRun,
  stampSequence,
  stampTicks,
  writeStamp,
} from './stamp.ts';

/** A publisher with more than this to write waits. */
const PENDING_BYTES = 131_072;
/** Messages of an open loop that leave in one go before the sockets are looked at again. */
const BURST = 512;

class Publisher {
  readonly client: Client;
  readonly publishing: Publishing;
  /** Undefined where each message goes elsewhere. */
  readonly frame: PublishFrame | undefined;
  sent = 0;
  /** Copies that arrived here, and those that are no longer waited for. */
  returned = 0;
  isWoken = false;

  constructor(client: Client, publishing: Publishing, frame: PublishFrame | undefined) {
    this.client = client;
    this.publishing = publishing;
    this.frame = frame;
  }
}

export class Load implements ClientOwner {
  sent = 0;
  /** Copies that should arrive, here or in other shares. */
  expected = 0;
  /** Each copy once, however often it came; but for `arrivals` that are not checked. */
  received = 0;
  /** Publishes that the broker answered with an error. */
  refused = 0;
  /** Messages that are none of this run's. */
  foreign = 0;
  /** Times that nothing came for a second although something was under way. */
  stalls = 0;
  /** While the load is measured. */
  readonly latency = new Histogram();
  /** How late messages of an open loop left for which the broker had room. */
  readonly lateness = new Histogram();
  readonly arrivals: Arrivals;
  isMeasuring = false;
  readonly #options: BenchOptions;
  readonly #share: Share;
  readonly #run: number;
  readonly #dialer: Dialer;
  readonly #payload: Uint8Array;
  readonly #publishers: Publisher[] = [];
  readonly #byIndex: (Publisher | undefined)[] = [];
  readonly #replies: PublishFrame[] = [];
  /** Stamps of commands whose replies wait for the handler's window. */
  readonly #unanswered: Uint8Array[] = [];
  #woken: Publisher[] = [];
  #isRunning = false;
  #random = 0x2545f491;
  #next = 0;
  #receivedBefore = 0;

  constructor(options: BenchOptions, share: Share, run: number, dialer: Dialer) {
    this.#options = options;
    this.#share = share;
    this.#run = run;
    this.#dialer = dialer;
    this.#payload = new Uint8Array(options.payloadBytes).fill(0x78);
    this.arrivals = new Arrivals(options);
    dialer.beforeFlush = () => this.#pumpWoken();
  }

  /** Whether all has arrived that is waited for. */
  get isDone(): boolean {
    return this.received >= this.expected;
  }

  addPublisher(client: Client): void {
    const { publishing, index } = client.plan;
    if (publishing === undefined) return;
    const { topic } = publishing;
    const publisher = new Publisher(
      client,
      publishing,
      topic === undefined ? undefined : this.#frameFor(topic),
    );
    this.#publishers.push(publisher);
    this.#byIndex[index] = publisher;
  }

  begin(): void {
    this.#isRunning = true;
    if (this.#publishers.length === 0) return;
    if (this.#options.scenario === 'idle') this.expected = this.#subscriptionsHere();
    if (this.#options.rate === undefined) this.#wakeAll();
    else this.#openLoop(this.#options.rate);
  }

  stop(): void {
    this.#isRunning = false;
    this.#woken = [];
  }

  /** Called each second: what has not come by then in a closed loop is given up, so that the loop goes on. */
  unstall(): void {
    const isStalled = this.received === this.#receivedBefore && !this.isDone;
    this.#receivedBefore = this.received;
    const isClosed = this.#publishers.some((each) => each.publishing.copiesHere > 0);
    if (!this.#isRunning || !isStalled || !isClosed || this.#options.rate !== undefined) return;
    this.stalls++;
    for (const each of this.#publishers) each.returned = each.sent * each.publishing.copiesHere;
    this.#wakeAll();
  }

  ready(): void {}

  message(client: Client, bytes: Uint8Array, at: number, end: number, now: Ticks): void {
    if (end - at < STAMP_BYTES || stampRun(bytes, at) !== this.#run) {
      this.foreign++;
      return;
    }
    if (client.plan.kind === 'handler')
      return this.#reply(client, bytes.slice(at, at + STAMP_BYTES));
    const index = stampPublisher(bytes, at);
    const sequence = stampSequence(bytes, at);
    if (index >= this.#options.publishers || sequence === 0) {
      this.foreign++;
      return;
    }
    if (!this.arrivals.note(client.plan.index, index, sequence)) return;
    this.received++;
    if (this.isMeasuring) this.latency.record(Math.round(ageOf(stampTicks(bytes, at), now)));
    const publisher = this.#byIndex[index];
    if (publisher === undefined) return;
    publisher.returned++;
    this.#wake(publisher);
  }

  acknowledged(client: Client, refused: boolean): void {
    if (refused) this.refused++;
    if (client.plan.kind === 'handler') return this.#answerMore(client);
    const publisher = this.#byIndex[client.plan.index];
    if (publisher !== undefined && client.plan.kind === 'publisher') this.#wake(publisher);
  }

  #reply(handler: Client, stamp: Uint8Array): void {
    this.#unanswered.push(stamp);
    this.#answerMore(handler);
  }

  #answerMore(handler: Client): void {
    while (handler.hasWindow) {
      const stamp = this.#unanswered.shift();
      if (stamp === undefined) return;
      const device = stampPublisher(stamp, 0);
      this.#replies[device] ??= this.#frameFor(replyTopic(this.#options, device));
      const at = handler.publish(this.#replies[device] as PublishFrame);
      handler.outgoing.bytes.set(stamp, at);
    }
  }

  #frameFor(topic: string): PublishFrame {
    return publishFrame(topic, this.#options.qos, this.#payload, this.#options.version);
  }

  #wakeAll(): void {
    for (const each of this.#publishers) this.#wake(each);
    this.#dialer.flushSoon();
  }

  #wake(publisher: Publisher): void {
    if (publisher.isWoken || !this.#isRunning || this.#options.rate !== undefined) return;
    publisher.isWoken = true;
    this.#woken.push(publisher);
  }

  #pumpWoken(): void {
    const woken = this.#woken;
    if (woken.length === 0) return;
    this.#woken = [];
    const now = ticksNow();
    for (const publisher of woken) {
      publisher.isWoken = false;
      this.#pump(publisher, now);
    }
  }

  /** Closed loop: as much as its window lacks. */
  #pump(publisher: Publisher, now: Ticks): void {
    const { copiesHere } = publisher.publishing;
    const window = this.#options.window * copiesHere;
    let any = false;
    while (this.#hasRoom(publisher) && !this.#isAllSent()) {
      const isFull =
        copiesHere > 0
          ? publisher.sent * copiesHere - publisher.returned >= window
          : publisher.client.unacknowledged >= this.#options.window;
      if (isFull) break;
      this.#emit(publisher, now);
      any = true;
    }
    if (any) this.#dialer.touch(publisher.client);
  }

  /** `idle` sends one message for each subscription, and no more. */
  #isAllSent(): boolean {
    return this.#options.scenario === 'idle' && this.sent >= this.#subscriptionsHere();
  }

  #hasRoom({ client }: Publisher): boolean {
    return client.state === 'ready' && client.hasWindow && client.outgoing.length < PENDING_BYTES;
  }

  #openLoop(rate: number): void {
    const all = this.#options.publishers;
    const interval = ticksOfSeconds(all / (rate * this.#publishers.length));
    const start = ticksNow();
    let count = 0;
    let isHeldUp = false;
    const proceed = (): void => {
      if (!this.#isRunning) return;
      const now = ticksNow();
      let due = start + count * interval;
      for (let burst = 0; due <= now && burst < BURST; burst++) {
        const publisher = this.#publishers[count % this.#publishers.length] as Publisher;
        if (publisher.client.state === 'ready') {
          if (!this.#hasRoom(publisher)) {
            isHeldUp = true;
            break;
          }
          if (this.isMeasuring && !isHeldUp)
            this.lateness.record(Math.min(2 ** 31, Math.round(now - due)));
          this.#emit(publisher, due);
          this.#dialer.touch(publisher.client);
        }
        count++;
        due = start + count * interval;
      }
      if (due > now) isHeldUp = false;
      // A timer is late by a millisecond or so; where messages are closer, the loop goes round instead.
      const waitMs = (due - ticksNow()) / 10_000;
      if (waitMs > 3) setTimeout(proceed, waitMs - 2);
      else setImmediate(proceed);
    };
    proceed();
  }

  #emit(publisher: Publisher, due: Ticks): void {
    const { client, publishing } = publisher;
    const frame = publisher.frame ?? this.#frameFor(this.#anyTopic());
    const at = client.publish(frame);
    const sequence = ++publisher.sent;
    writeStamp(client.outgoing.bytes, at, this.#run, client.plan.index, sequence, due);
    this.sent++;
    if (this.#options.scenario !== 'idle') this.expected += publishing.copies;
  }

  #subscriptionsHere(): number {
    const { connections, subscriptions } = this.#options;
    const rows = Math.floor(subscriptions / connections);
    const rest = sizeOfPart(subscriptions - rows * connections, this.#share);
    return rows * sizeOfPart(connections, this.#share) + rest;
  }

  /** A topic that a connection of this share is subscribed to: at random, and in `idle` each once. */
  #anyTopic(): string {
    const { connections, scenario } = this.#options;
    const { index, count } = this.#share;
    const any = (scenario === 'idle' ? this.#next++ : this.#roll()) % this.#subscriptionsHere();
    const here = sizeOfPart(connections, this.#share);
    const connection = (any % here) * count + index;
    return subscriptionTopic(this.#options, Math.floor(any / here) * connections + connection);
  }

  /** Xorshift: the same topics in each run, and nearly no cost. */
  #roll(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return this.#random >>> 0;
  }
}
