/** How a connection ends, in each version (MQTT 5.0 section 4.13, 3.1.1 section 4.8). */
import { expect } from 'bun:test';
import type { Connack, Disconnect, ProtocolVersion } from '../../core/mqtt/packet.ts';
import type { ReasonCode } from '../../core/mqtt/reason-code.ts';
import type { TestClient } from '../client.ts';

/** For tests that hold in every version. */
export const VERSIONS: ProtocolVersion[] = [3, 4, 5];

/**
 * The broker ended the connection: a 5.0 client got DISCONNECT with `reasonCode` as the only thing
 * that waits for it, which is returned; a 3.x client got nothing.
 */
export function expectEnded(client: TestClient, reasonCode: ReasonCode): Disconnect | undefined {
  const packets = client.packets();
  expect(client.closed).toBe(true);
  if (client.version !== 5) {
    expect(packets).toEqual([]);
    return undefined;
  }
  expect(packets).toMatchObject([{ type: 'disconnect', reasonCode }]);
  return packets[0] as Disconnect;
}

/** CONNECT was answered with `reasonCode` and nothing else, and the connection closed. */
export function expectRefused(client: TestClient, reasonCode: ReasonCode): Connack {
  const packets = client.packets();
  expect(packets).toMatchObject([{ type: 'connack', reasonCode, sessionPresent: false }]);
  expect(client.closed).toBe(true);
  return packets[0] as Connack;
}

/** The broker closed the connection without a word. */
export function expectClosed(client: TestClient): void {
  expect(client.packets()).toEqual([]);
  expect(client.closed).toBe(true);
}

/** Nothing came, and the connection is open. */
export function expectQuiet(client: TestClient): void {
  expect(client.packets()).toEqual([]);
  expect(client.closed).toBe(false);
}
