/** A socket without a network, and what tests of turns say of it. */
import type { Transport } from '../../core/net/link.ts';

export const origin = { transport: 'mqtt', address: '192.0.2.1' } as const;
export const bytes = (...values: number[]) => Uint8Array.from(values);
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A socket that takes as much as the test allows. */
export class FakeSocket implements Transport {
  room = Number.POSITIVE_INFINITY;
  readonly writes: Uint8Array[] = [];
  readonly acts: string[] = [];
  acted: (act: string) => void = () => {};

  write(from: Uint8Array, offset: number, length: number): number {
    const taken = Math.min(length, this.room);
    this.room -= taken;
    this.writes.push(from.slice(offset, offset + taken));
    return taken;
  }
  shutdown(): void {
    this.#act('shutdown');
  }
  terminate(): void {
    this.#act('terminate');
  }
  pause(): void {
    this.#act('pause');
  }
  resume(): void {
    this.#act('resume');
  }
  setKeepAlive(_enable: true, idleMs: number): void {
    this.#act(`probe after ${idleMs} ms`);
  }

  /** Resolves at the next thing that is done to it. */
  nextAct(): Promise<string> {
    return new Promise((resolve) => {
      this.acted = resolve;
    });
  }

  #act(act: string): void {
    this.acts.push(act);
    this.acted(act);
  }
}
