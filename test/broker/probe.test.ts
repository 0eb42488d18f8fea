/** Who is probed by the network: whoever says nothing of its own accord. */
import { expect, test } from 'bun:test';
import { Harness } from '../harness.ts';
import { arrive, join } from '../hostile/company.ts';

test('a client that asks for no Keep Alive is probed, and one that asks for it is not', () => {
  const harness = new Harness();
  expect(join(harness, { client: 'silent' }, { keepAliveSeconds: 0 }).probed).toBe(true);
  expect(join(harness, { client: 'alive' }, { keepAliveSeconds: 60 }).probed).toBe(false);
});

test('a client whose Keep Alive would show its loss only after hours is probed', () => {
  const harness = new Harness();
  expect(join(harness, { client: 'hour' }, { keepAliveSeconds: 3_600 }).probed).toBe(false);
  expect(join(harness, { client: 'day' }, { keepAliveSeconds: 65_535 }).probed).toBe(true);
});

test('a client that is told a Server Keep Alive need not be probed; one of 3.1.1 cannot be told', () => {
  const harness = new Harness({ limits: { maximumKeepAliveSeconds: 60 } });
  expect(join(harness, { client: 'told' }, { keepAliveSeconds: 0 }).probed).toBe(false);
  const old = join(harness, { client: 'old', version: 4 }, { keepAliveSeconds: 0 });
  expect(old.probed).toBe(true);
});

test('before CONNECT is accepted nobody is probed: there is a time for it', () => {
  const harness = new Harness();
  expect(arrive(harness).probed).toBe(false);
});
