/**
 * Commands that wait for a worker: bounded, and in lanes, one for each user. What is in a lane is begun in
 * order, one after the other: while a worker has something of a lane, it alone gets more of it, and only
 * as much as is soon done. Lanes take turns, so that nobody waits for an order that nobody asked for.
 *
 * A command that is to be tried again leaves its lane until then, and the later ones overtake it; unless
 * its handler is ordered: then those of the lane that are for the same handler are kept behind it.
 */
import type { CommandDropReason } from './events.ts';
import { Fifo } from './fifo.ts';
import { type Lane, laneKeyOf, newLane, type Taker } from './lane.ts';
import type { HandlerState, Waiting } from './waiting.ts';

/** More of a lane is given out while what is given is expected to take less. */
const LANE_MS = 10;

export class CommandQueue {
  readonly #mostCommands: number;
  readonly #mostBytes: number;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that anybody may take from, and those that only takers of an earlier version can. */
  readonly #common = new Fifo<Lane>();
  readonly #leaving = new Fifo<Lane>();
  /** Lanes that one taker has something of. */
  readonly #own = new Map<Taker, Fifo<Lane>>();
  readonly #parkedFor = new Set<HandlerState>();
  #turn = false;
  #holdsStored = false;
  #size = 0;
  #bytes = 0;

  constructor(mostCommands: number, mostBytes: number) {
    this.#mostCommands = mostCommands;
    this.#mostBytes = mostBytes;
  }

  /** Entries that are not finished: waiting, given out, or to be tried again; and their bytes. */
  get size(): number {
    return this.#size;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** Why there is no room for another of so many bytes; undefined where there is. One always fits. */
  refusal(bytes: number): CommandDropReason | undefined {
    if (this.#size >= this.#mostCommands) return 'queue-full';
    return this.#size > 0 && this.#bytes + bytes > this.#mostBytes ? 'queue-bytes' : undefined;
  }

  /** Whether less than half of the room is taken. */
  get roomy(): boolean {
    return this.#size * 2 < this.#mostCommands && this.#bytes * 2 < this.#mostBytes;
  }

  add(entry: Waiting): void {
    this.#size++;
    this.#bytes += entry.bytes;
    entry.handler.waiting++;
    const lane = this.#laneOf(entry);
    lane.waiting.push(entry);
    this.#list(lane);
  }

  /** The next entry for `taker`, which is to be settled or given back; undefined where none is for it now. */
  take(taker: Taker): Waiting | undefined {
    // What a retired taker does not have goes back to the end of the line, for another.
    let left = taker.retired ? this.#leaving.length : Number.POSITIVE_INFINITY;
    for (let lane = this.#next(taker); lane !== undefined; lane = this.#next(taker)) {
      lane.listed = false;
      const entry = this.#headOf(lane);
      if (entry === undefined || !this.#mayTake(lane, entry, taker)) {
        this.#list(lane);
        this.#close(lane);
        if (--left === 0) break;
        continue;
      }
      lane.waiting.shift();
      this.#give(lane, entry, taker);
      this.#list(lane);
      return entry;
    }
    return undefined;
  }

  /** An entry is over, whether it was given out or not. Nothing happens where it is not here. */
  finished(entry: Waiting): void {
    const { lane } = entry;
    if (lane === undefined) return;
    this.#forget(entry);
    this.#uncover(lane, entry);
    if (entry.given) return this.#release(entry);
    entry.handler.waiting--;
    this.#list(lane);
    this.#close(lane);
  }

  /** The run of an entry failed; `due` brings it back. */
  postponed(entry: Waiting): void {
    const { lane, handler } = entry;
    if (lane !== undefined && handler.rules.ordered && lane.kept?.get(handler) === undefined) {
      lane.kept ??= new Map();
      lane.kept.set(handler, { retrying: entry, later: [] });
    }
    handler.waiting++;
    this.#release(entry);
  }

  /** An entry that was postponed is to be tried now, before all others of its lane. */
  due(entry: Waiting): void {
    const lane = this.#laneOf(entry);
    lane.waiting.unshift([entry]);
    this.#list(lane);
  }

  /** `taker` is no more, and had taken and not begun `entries`: they are for others, before what came later. */
  giveBack(taker: Taker, entries: readonly Waiting[]): void {
    const own = this.#own.get(taker)?.all() ?? [];
    for (const lane of own) lane.listed = false;
    this.#own.delete(taker);
    const lanes = new Map<Lane, Waiting[]>();
    for (const entry of entries) {
      const lane = entry.lane as Lane;
      const others = lanes.get(lane);
      if (others === undefined) lanes.set(lane, [entry]);
      else others.push(entry);
    }
    for (const [lane, back] of lanes) {
      lane.waiting.unshift(back.sort((a, b) => a.sequence - b.sequence));
      for (const entry of back) {
        entry.handler.waiting++;
        this.#release(entry);
      }
    }
    for (const lane of own) this.#list(lane);
  }

  /** Holds back what is stored, or no longer. */
  holdStored(holds: boolean): void {
    if (this.#holdsStored === holds) return;
    this.#holdsStored = holds;
    if (!holds) this.relist();
  }

  /** Looks at every lane anew: handlers or takers are others now. */
  relist(): void {
    this.#common.clear();
    this.#leaving.clear();
    this.#own.clear();
    for (const handler of this.#parkedFor) handler.parked.clear();
    this.#parkedFor.clear();
    for (const lane of this.#lanes.values()) lane.listed = false;
    for (const lane of this.#lanes.values()) this.#list(lane);
  }

  /** Takes out for good what waits in lanes and `wanted` says. What is given out or to be tried again stays. */
  remove(wanted: (entry: Waiting) => boolean): Waiting[] {
    const removed: Waiting[] = [];
    for (const lane of this.#lanes.values()) {
      const later = [...(lane.kept?.values() ?? [])].flatMap((kept) => kept.later.splice(0));
      const all = [...later, ...lane.waiting.all()].sort((a, b) => a.sequence - b.sequence);
      lane.waiting.clear();
      for (const entry of all) {
        if (wanted(entry)) removed.push(entry);
        else lane.waiting.push(entry);
      }
    }
    removed.sort((a, b) => a.sequence - b.sequence);
    for (const entry of removed) {
      this.#forget(entry);
      this.#uncover(entry.lane as Lane, entry);
      entry.handler.waiting--;
      entry.lane = undefined;
    }
    this.relist();
    for (const lane of [...this.#lanes.values()]) this.#close(lane);
    return removed;
  }

  /** Whether an entry is kept behind one that is to be tried again. */
  isKeptBack({ lane, handler }: Waiting): boolean {
    return lane?.kept?.has(handler) === true;
  }

  #forget(entry: Waiting): void {
    this.#size--;
    this.#bytes -= entry.bytes;
  }

  /** The lane that `taker` takes from next, out of its line: from its own and the common ones in turn. */
  #next(taker: Taker): Lane | undefined {
    if (taker.retired) return this.#leaving.shift();
    this.#turn = !this.#turn;
    const own = this.#own.get(taker);
    if (own === undefined) return this.#common.shift();
    const lane = this.#turn ? own.shift() : this.#common.shift();
    return lane ?? (this.#turn ? this.#common.shift() : own.shift());
  }

  /** The next entry of a lane; those of ordered handlers that are to wait are put aside. */
  #headOf(lane: Lane): Waiting | undefined {
    for (let entry = lane.waiting.peek(); entry !== undefined; entry = lane.waiting.peek()) {
      const kept = lane.kept?.get(entry.handler);
      if (kept === undefined || kept.retrying === entry) return entry;
      lane.waiting.shift();
      kept.later.push(entry);
      this.#unpark(entry.handler);
    }
    return undefined;
  }

  #mayTake(lane: Lane, { handler, receipt }: Waiting, taker: Taker): boolean {
    return (
      this.#isOpen(lane) &&
      handler.leaving === taker.retired &&
      (!taker.retired || taker.has(handler.name)) &&
      handler.running < handler.limit &&
      !(this.#holdsStored && receipt.number !== 0)
    );
  }

  #isOpen({ closedBy, heldMs, held, taker }: Lane): boolean {
    if (held === 0 || taker === undefined) return true;
    return closedBy === undefined && heldMs < LANE_MS && !taker.retired && !taker.lost;
  }

  #give(lane: Lane, entry: Waiting, taker: Taker): void {
    const { handler } = entry;
    entry.given = true;
    entry.after = lane.last;
    entry.expectedMs = handler.pace.durationMs;
    lane.taker = taker;
    lane.held++;
    lane.heldMs += entry.expectedMs;
    lane.last = entry;
    // What comes behind it may have to wait for its next attempt.
    if (handler.rules.ordered) lane.closedBy = entry;
    handler.running++;
    handler.waiting--;
  }

  /** What `#give` did, undone. */
  #release(entry: Waiting): void {
    const { handler } = entry;
    const lane = entry.lane as Lane;
    if (lane.last === entry) lane.last = entry.after?.given ? entry.after : undefined;
    entry.given = false;
    entry.slot = -1;
    entry.after = undefined;
    lane.heldMs -= entry.expectedMs;
    if (lane.closedBy === entry) lane.closedBy = undefined;
    if (--lane.held === 0) {
      lane.heldMs = 0;
      lane.taker = undefined;
    }
    handler.running--;
    this.#unpark(handler);
    this.#list(lane);
    this.#close(lane);
  }

  /** Puts a lane into the line that it is for, unless it stands in one or has to wait. */
  #list(lane: Lane): void {
    if (lane.listed || !this.#isOpen(lane)) return;
    const entry = this.#headOf(lane);
    if (entry === undefined || (this.#holdsStored && entry.receipt.number !== 0)) return;
    const { handler } = entry;
    if (lane.taker !== undefined && handler.leaving) return;
    lane.listed = true;
    if (handler.running >= handler.limit) {
      handler.parked.push(lane);
      this.#parkedFor.add(handler);
    } else if (lane.taker !== undefined) this.#ownOf(lane.taker).push(lane);
    else (handler.leaving ? this.#leaving : this.#common).push(lane);
  }

  #ownOf(taker: Taker): Fifo<Lane> {
    const own = this.#own.get(taker);
    if (own !== undefined) return own;
    const fresh = new Fifo<Lane>();
    this.#own.set(taker, fresh);
    return fresh;
  }

  /** There is room for one more run of `handler`. */
  #unpark(handler: HandlerState): void {
    const lane = handler.parked.shift();
    if (lane === undefined) return;
    lane.listed = false;
    this.#list(lane);
  }

  #laneOf(entry: Waiting): Lane {
    const key = laneKeyOf(entry.message);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = newLane(key);
      this.#lanes.set(key, lane);
    }
    entry.lane = lane;
    return lane;
  }

  /** An entry is over: nothing is kept back behind it any more. */
  #uncover(lane: Lane, entry: Waiting): void {
    const kept = lane.kept?.get(entry.handler);
    if (kept?.retrying !== entry) return;
    lane.kept?.delete(entry.handler);
    if (lane.kept?.size === 0) lane.kept = undefined;
    lane.waiting.unshift(kept.later);
  }

  #close(lane: Lane): void {
    if (lane.held > 0 || lane.waiting.length > 0 || lane.kept !== undefined || lane.listed) return;
    // Of an entry that is to be tried again the lane may be closed, and another have its key.
    if (this.#lanes.get(lane.key) === lane) this.#lanes.delete(lane.key);
  }
}
