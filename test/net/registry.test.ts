import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { BufferPool } from '../../core/net/buffer-pool.ts';
import { Link } from '../../core/net/link.ts';
import { Registry } from '../../core/net/registry.ts';

const silent = {
  write: (_bytes: Uint8Array, _offset: number, length: number) => length,
  shutdown() {},
  terminate() {},
  pause() {},
  setKeepAlive() {},
  resume() {},
};
const pool = new BufferPool();

describe('Registry', () => {
  test('a number finds its connection, and nothing once that is gone', () => {
    const registry = new Registry();
    const link = new Link(registry.nextId(), silent, pool);
    registry.add(link);
    expect(registry.get(link.id)).toBe(link);
    expect(registry.get(link.id + 256)).toBeUndefined();
    registry.delete(link);
    registry.delete(link);
    expect(registry.get(link.id)).toBeUndefined();
    expect(registry.size).toBe(0);
  });

  test('it finds what a Map finds, through growth and reuse of slots, and no number comes twice', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 300, maxLength: 1_500 }), (choices) => {
        const registry = new Registry();
        const model = new Map<number, Link>();
        const used = new Set<number>();
        for (const choice of choices) {
          const held = [...model.values()];
          if (choice % 3 === 0 && held.length > 0) {
            const link = held[choice % held.length] as Link;
            registry.delete(link);
            model.delete(link.id);
            expect(registry.get(link.id)).toBeUndefined();
          } else {
            const link = new Link(registry.nextId(), silent, pool);
            expect(used.has(link.id)).toBe(false);
            used.add(link.id);
            registry.add(link);
            model.set(link.id, link);
          }
        }
        expect(registry.size).toBe(model.size);
        for (const [id, link] of model) expect(registry.get(id)).toBe(link);
        expect(new Set(registry)).toEqual(new Set(model.values()));
      }),
      { numRuns: 20 },
    );
  });
});
