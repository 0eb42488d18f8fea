/**
 * Who takes part in the hostile cases: everybody has the default rights of their role, unless a case
 * grants them something. Each case is one attempt from its first byte to what comes of it.
 */
import { expect } from 'bun:test';
import type { Grants, Role } from '../../core/auth/rights.ts';
import type { Connect, ProtocolVersion, UserProperty } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { type TestClient, textOf } from '../client.ts';
import type { Harness } from '../harness.ts';

/** QoS 2, which everybody asks for here, in SUBACK. */
export const GRANTED = 2 as ReasonCode;

export interface Case {
  readonly name: string;
  run(version: ProtocolVersion): void;
}

export interface Who {
  /** `1` where nothing is said. */
  readonly user?: string;
  /** A device where nothing is said. */
  readonly role?: Role;
  /** Its Client Identifier; `phone` where nothing is said. */
  readonly client?: string;
  readonly version?: ProtocolVersion;
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  /** Whether `subscribe` may be shared; true where nothing is said. */
  readonly share?: boolean;
  readonly expiresAtMs?: number;
}

/** An admin, who may say and hear nearly everything. */
export const staff: Who = { user: 'staff', role: 'admin', client: 'staff' };

/** The grants of a token that has an `acl`; undefined where `who` names none. */
export function grantsOf({ publish, subscribe, share = true }: Who): Grants | undefined {
  if (publish === undefined && subscribe === undefined) return undefined;
  return { publish: publish ?? [], subscribe: subscribe ?? [], retain: true, share };
}

export function identityOf(who: Who) {
  const { user = '1', role = 'device', expiresAtMs = Number.POSITIVE_INFINITY } = who;
  return { user, role, expiresAtMs, grants: grantsOf(who) };
}

/** A connection of `who` that has said nothing yet. */
export function arrive(harness: Harness, who: Who = {}): TestClient {
  const { client = 'phone', version = 5 } = who;
  return harness.client(client, { version, identity: identityOf(who) });
}

/** `who`, connected; Clean Start unless `fields` say otherwise. */
export function join(harness: Harness, who: Who = {}, fields: Partial<Connect> = {}): TestClient {
  const client = arrive(harness, who);
  expect(client.connect(fields).reasonCode).toBe(ReasonCode.Success);
  return client;
}

/** `who` with a stored session: the one that waits, or a new one. */
export function stay(harness: Harness, who: Who = {}, fields: Partial<Connect> = {}): TestClient {
  const stored = (who.version ?? 5) === 5 ? { sessionExpiryInterval: 1_000 } : {};
  return join(harness, who, { cleanStart: false, ...stored, ...fields });
}

/** The handler of `filters`, which it thereby declares. */
export function handlerOf(harness: Harness, ...filters: string[]): TestClient {
  const handler = join(harness, { user: 'backend', role: 'handler', client: 'handler' });
  for (const filter of filters) expect(handler.subscribe(filter)).toEqual([GRANTED]);
  return handler;
}

/** Publishes a new token for `who` to `$token`, and returns the Reason Code of PUBACK. */
export function renew(harness: Harness, client: TestClient, who: Who): ReasonCode | undefined {
  const token = harness.accept(identityOf(who));
  return client.publish('$token', token, { qos: 1 })?.reasonCode;
}

/** SUBSCRIBE is refused: 0x87, and 0x80 for clients that know no more; 3.1 has no word for it. */
export function expectNoSubscription(client: TestClient, filter: string): void {
  const [reasonCode] = client.subscribe(filter);
  const refused = { 3: reasonCode, 4: ReasonCode.UnspecifiedError, 5: ReasonCode.NotAuthorized };
  expect([filter, reasonCode]).toEqual([filter, refused[client.version]]);
}

/** The topics and payloads of what came, as `topic: payload`; acknowledges nothing. */
export function heard(client: TestClient): string[] {
  return client.messages().map((message) => `${message.topic}: ${textOf(message)}`);
}

/** Everything that went out to `client` and was not looked at, as one text. */
export function rawText(client: TestClient): string {
  let text = '';
  while (client.pending > 0) text += Buffer.from(client.nextBytes()).toString('latin1');
  return text;
}

export const forged: readonly UserProperty[] = [
  ['bellhop-user', 'boss'],
  ['bellhop-client', 'desk'],
  ['kept', 'yes'],
];

/** What was reported as denied, as `action topic`. */
export function denied(harness: Harness): string[] {
  return harness.eventsOf('denied').map(({ action, topic }) => `${action} ${topic}`);
}

/** Whatever happened to others: the broker still serves somebody new, from CONNECT to delivery. */
export function expectAlive(harness: Harness): void {
  const client = harness.connected('alive');
  client.subscribe('alive');
  client.publish('alive', 'yes', { qos: 1 });
  expect(client.texts()).toEqual(['yes']);
  client.disconnect();
}

/** Prints how many cases a table has; each needs a name of its own. */
export function tally(what: string, ...tables: readonly (readonly { readonly name: string }[])[]) {
  const names = tables.flat().map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  console.info(`hostile cases of ${what}: ${names.length}`);
  return names.length;
}
