/** What simulated clients say, by the dice: their CONNECT, Wills, tokens, payloads and properties. */
import type { Grants } from '../../core/auth/rights.ts';
import type { Connect, Publish, Will } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import type { SimClient } from './client.ts';
import type { Random } from './random.ts';
import { type ClientPlan, commands, identityOf, respell, topics } from './scenario.ts';
import type { Simulation } from './simulation.ts';

export class Making {
  readonly #simulation: Simulation;
  readonly #random: Random;
  #tokens = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#random = simulation.random;
  }

  connectPacket(plan: ClientPlan, client: SimClient, token: string): Connect {
    const random = this.#random;
    const five = client.version === 5;
    const cleanStart = client.mustStartClean || random.chance(0.2);
    const nameless =
      !client.mustStartClean &&
      cleanStart &&
      client.version !== 3 &&
      client.idle &&
      random.chance(0.1);
    const byAuth = five && random.chance(0.3);
    const bytes = new TextEncoder().encode(token);
    const kept = random.pick([0, 20, 3_600, 0xffff_ffff, 0xffff_ffff]);
    return {
      type: 'connect',
      protocolVersion: client.version,
      cleanStart,
      keepAliveSeconds: random.pick([0, 0, 0, 0, 5, 60]),
      clientIdentifier: nameless ? '' : client.clientIdentifier,
      userName: byAuth ? undefined : 'JWT',
      password: byAuth ? undefined : bytes,
      will: random.chance(0.3) ? this.will(plan, five) : undefined,
      sessionExpiryInterval: nameless ? 0 : five ? kept : cleanStart ? 0 : 0xffff_ffff,
      receiveMaximum: five ? random.pick([1, 2, 5, 65_535, 65_535]) : 65_535,
      maximumPacketSize: five && random.chance(0.2) ? random.between(90, 250) : undefined,
      topicAliasMaximum: five ? random.pick([0, 0, 1, 5]) : 0,
      requestResponseInformation: five && random.chance(0.1),
      requestProblemInformation: !(five && random.chance(0.1)),
      authenticationMethod: byAuth ? 'JWT' : undefined,
      authenticationData: byAuth ? bytes : undefined,
      userProperties: undefined,
    };
  }

  will(plan: ClientPlan, five: boolean): Will {
    const random = this.#random;
    // What a Will may be about, so that CONNECT is not always refused.
    const topic = random.chance(0.6)
      ? plan.person.role === 'device' && plan.person.grants[0] === undefined
        ? random.pick(commands.slice(0, 3)) // declared in any run
        : 'room/2'
      : respell(random.pick(topics), this.#simulation.scenario.policy.separator);
    return {
      topic,
      payload: this.payload(),
      qos: random.pick([0, 1, 2] as const),
      retain: random.chance(0.2) && plan.person.role !== 'device',
      delaySeconds: five ? random.pick([0, 0, 5, 7_200]) : 0,
      messageExpiryInterval: five && random.chance(0.2) ? random.between(1, 60) : undefined,
      properties: undefined,
    };
  }

  /** A token for `plan`; with `mixed`, one in a while is bad, narrow or about to expire. */
  token(plan: ClientPlan, mixed: boolean): string {
    const random = this.#random;
    const { person } = plan;
    const token = `token-${++this.#tokens}`;
    if (mixed && random.chance(0.04)) {
      const reasonCode = random.pick([
        ReasonCode.BadUserNameOrPassword,
        ReasonCode.NotAuthorized,
        ReasonCode.ServerUnavailable,
      ]);
      const detail = 'not a good token';
      this.#simulation.tokens.set(token, { kind: 'refuse', connection: 0, reasonCode, detail });
      return token;
    }
    const grants = mixed && random.chance(0.15) ? random.pick(person.grants) : person.grants[0];
    const expires = mixed && random.chance(0.15);
    const lasts = random.pick([500, 30_000, 7_200_000]) + random.below(999);
    const expiresAtMs = expires ? this.#simulation.now + lasts : Number.POSITIVE_INFINITY;
    const identity = identityOf(person, grants as Grants | undefined, expiresAtMs);
    this.#simulation.tokens.set(token, { kind: 'accept', connection: 0, identity });
    return token;
  }

  /** Every payload is one of its kind, so that each delivery can be told from all others. */
  payload(): Uint8Array {
    const length = this.#random.chance(0.1) ? this.#random.below(3_000) : this.#random.below(20);
    return new TextEncoder().encode(`m${++this.#simulation.published}${'.'.repeat(length)}`);
  }

  properties(): Publish['properties'] {
    const random = this.#random;
    return {
      contentType: random.chance(0.5) ? 'text/plain' : undefined,
      userProperties: random.chance(0.7)
        ? [
            ['a', '1'],
            ['bellhop-user', 'root'],
            ['a', '2'],
          ]
        : undefined,
    };
  }
}
