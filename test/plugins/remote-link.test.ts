/** How a remote process comes back to its broker. */
import { afterEach, expect, test } from 'bun:test';
import type { RemoteClient } from '../../core/plugins/remote-client.ts';
import type { Target } from '../../core/plugins/remote-line.ts';
import { type RemoteEvent, RemoteLink, RemoteRefused } from '../../core/plugins/remote-link.ts';

const links: RemoteLink[] = [];
afterEach(async () => {
  for (const link of links.splice(0)) await link.stop();
});

/** Nobody listens there any more. */
function deserted(): Target {
  const socket = { data() {} };
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket });
  const { port } = listener;
  listener.stop(true);
  return { hostname: '127.0.0.1', port, tls: undefined };
}

/** A link whose process has no session to speak of; resolves to its first `count` losses. */
async function lossesOf(
  count: number,
  token: () => Promise<string>,
  started: (start: Promise<void>) => void = () => {},
): Promise<Extract<RemoteEvent, { kind: 'connection-lost' }>[]> {
  const client: Partial<RemoteClient> = { begin() {}, lost() {} };
  const losses: Extract<RemoteEvent, { kind: 'connection-lost' }>[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const options = { target: deserted(), token, now: () => performance.now() };
  const link = new RemoteLink(options, client as RemoteClient, {
    lost() {},
    report(event) {
      if (event.kind === 'connection-lost' && losses.push(event) === count) resolve();
    },
  });
  links.push(link);
  started(link.start());
  await promise;
  return losses;
}

test('a broker that is not there is tried again, each time after twice as long, and not all processes at once', async () => {
  const losses = await lossesOf(5, async () => 'token');
  for (const [index, { retryInMs }] of losses.entries()) {
    const longest = 100 * 2 ** index;
    expect(retryInMs).toBeGreaterThanOrEqual(longest / 2);
    expect(retryInMs).toBeLessThanOrEqual(longest);
  }
});

test('without a token nobody is asked, the start is refused, and the next attempt is a while away', async () => {
  let refusal: unknown;
  const [loss] = await lossesOf(
    1,
    () => Promise.reject(new Error('the file is empty')),
    (start) => {
      start.catch((error) => {
        refusal = error;
      });
    },
  );
  expect(refusal).toEqual(new RemoteRefused('the file is empty'));
  expect(loss?.detail).toBe('the file is empty');
  expect(loss?.retryInMs).toBeGreaterThanOrEqual(5_000);
});
