/** How many connections fit into the file descriptors there are. */
import { expect, test } from 'bun:test';
import { defaultLimits } from '../../core/broker/limits.ts';
import { roomForConnections } from '../../core/ops/room.ts';

test.each([256, 1_024, 20_000, 1_048_576])(
  'of %i descriptors some are left, refused and closed connections included',
  (limit) => {
    const { connections, lingering } = roomForConnections(Number.MAX_SAFE_INTEGER, limit);
    expect(connections).toBeGreaterThan(limit / 3);
    expect(Math.ceil(connections * 1.1) + lingering).toBeLessThanOrEqual(limit - 60);
  },
);

test('who asks for more than there is room for is told, and who asks for nothing is not', () => {
  expect(roomForConnections(50_000, 20_000).warning).toMatch(
    /MAXIMUM_CONNECTIONS is 50000.* 20000 /,
  );
  expect(roomForConnections(defaultLimits.maximumConnections, 20_000).warning).toBeUndefined();
  expect(roomForConnections(100, 20_000)).toMatchObject({ connections: 100, warning: undefined });
});
