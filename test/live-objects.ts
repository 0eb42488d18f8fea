/**
 * For tests that nothing stays behind: how many plain objects are alive after a collection, those of
 * classes among them. A measure with some slack, for the collector scans the stack conservatively.
 */
import { heapStats } from 'bun:jsc';

export function liveObjects(): number {
  Bun.gc(true);
  return heapStats().objectTypeCounts.Object ?? 0;
}
