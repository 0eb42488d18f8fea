/** Whether a cost grows faster than what it is drawn against. */

/** Above by this much, on a double-logarithmic scale, it is no longer noise. */
const TOLERANCE = 0.15;

/**
 * The slope between the two neighbours with the steepest one: 1 is linear, 2 quadratic. Undefined where
 * there are fewer than two points.
 */
export function steepest(
  points: readonly (readonly [x: number, y: number])[],
): { readonly from: number; readonly to: number; readonly slope: number } | undefined {
  let found: { from: number; to: number; slope: number } | undefined;
  for (const [index, [x, y]] of points.entries()) {
    const before = points[index - 1];
    if (before === undefined || y <= 0 || before[1] <= 0 || x <= before[0]) continue;
    const slope = Math.log(y / before[1]) / Math.log(x / before[0]);
    if (found === undefined || slope > found.slope) found = { from: before[0], to: x, slope };
  }
  return found;
}

/** `linear` is the slope of a cost that is linear in all. */
export function isWorseThanLinear(slope: number, linear: number): boolean {
  return slope > linear + TOLERANCE;
}
