/** What is said of a connection in events: as much as is known of it. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { Harness } from '../harness.ts';

test('an event names the address from the start, the Client Identifier from CONNECT, the user once it is verified', () => {
  const harness = new Harness({ limits: { maximumSessions: 0 } });
  const address = '192.0.2.1';
  const silent = harness.client('silent', { address });
  silent.raw('c0 00');
  const nobody = { address, user: undefined, clientIdentifier: undefined };
  expect(harness.eventsOf('violation').at(-1)?.party).toMatchObject(nobody);

  const stranger = harness.client('stranger', { address });
  stranger.connect({ password: Buffer.from(harness.refuse(ReasonCode.NotAuthorized, 'expired')) });
  const unverified = { user: undefined, clientIdentifier: 'stranger' };
  expect(harness.eventsOf('refused').at(-1)?.party).toMatchObject(unverified);

  harness.client('late', { address, identity: { user: '7' } }).connect();
  const verified = { address, user: '7', clientIdentifier: 'late' };
  expect(harness.eventsOf('refused').at(-1)?.party).toMatchObject(verified);
});
