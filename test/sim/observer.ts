/**
 * Holds everything that the broker sends against the model, as it is sent: each packet must be due
 * to that client at that moment. What must come and has not is looked for at the end of a turn where
 * it cannot wait, and else when everything is at rest.
 */
import type { Party } from '../../core/broker/outbox.ts';
import type { Message, Packet, Publish } from '../../core/mqtt/packet.ts';
import { ReasonCode, reasonName } from '../../core/mqtt/reason-code.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { check, Failure } from './failure.ts';
import type { Model } from './model.ts';
import { overdue, sessionOfWill, silent, tokenExpired } from './model-time.ts';
import type { Note } from './notes.ts';
import { observePublish } from './observe-publish.ts';
import type { Delivery, ModelConnection, ModelMessage } from './state.ts';

export class Observer {
  readonly model: Model;

  constructor(model: Model) {
    this.model = model;
  }

  /** Gives the delivery that a PUBLISH belongs to, undefined for all other notes. */
  observe(note: Note): Delivery | undefined {
    const { model } = this;
    const session = sessionOfWill(model, note);
    if (session !== undefined) model.willSent(session);
    switch (note.kind) {
      case 'packet': {
        const connection = model.connection(note.connection);
        return this.#packet(connection, note.packet, note.size);
      }
      case 'close':
        this.#close(model.connection(note.connection));
        return undefined;
      case 'verify': {
        const connection = model.connection(note.connection);
        const { verifying, verifySeen } = connection;
        check(
          verifying !== undefined && !verifySeen && verifying.token === note.token,
          `connection ${note.connection} gave no such token to check`,
        );
        connection.verifySeen = true;
        return undefined;
      }
      case 'handle':
        this.#handle(note.message);
        return undefined;
      case 'report':
        if (note.event.kind === 'fault') {
          throw new Failure(`a fault in the core: ${note.event.error.stack}`);
        }
        if (note.event.kind === 'session-expired') this.#expired(note.event.party);
        return undefined;
      case 'pause':
      case 'resume': {
        const connection = model.connections.get(note.connection);
        if (connection !== undefined) connection.isPaused = note.kind === 'pause';
        if (note.kind === 'resume') connection?.heard(model);
        return undefined;
      }
      case 'forward':
        return undefined;
      default:
        return note satisfies never;
    }
  }

  #packet(connection: ModelConnection, packet: Packet, size: number): Delivery | undefined {
    check(!connection.disconnectSeen, `${packet.type} behind DISCONNECT`);
    check(connection.connackSeen || packet.type === 'connack', `${packet.type} before CONNACK`);
    const { maximumPacketSize } = connection;
    check(size <= maximumPacketSize, `${packet.type} of ${size} bytes, over ${maximumPacketSize}`);
    if (connection.pendingBytes > 2 * this.model.limits.outboundBytes) connection.overrun = true;
    connection.pendingBytes += size;
    connection.pendingPeak = Math.max(connection.pendingPeak, connection.pendingBytes);
    if (connection.pendingBytes > this.model.limits.outboundBytes) this.#over(connection);
    switch (packet.type) {
      case 'connack': {
        const due = connection.connack;
        check(due !== undefined && !connection.connackSeen, 'CONNACK out of turn');
        connection.connackSeen = true;
        const { reasonCode, sessionPresent } = packet;
        check(
          due.codes?.includes(reasonCode) === true,
          `CONNACK ${reasonName(reasonCode)} in place of ${due.codes?.join()}`,
        );
        check(
          sessionPresent === due.sessionPresent,
          `Session Present ${sessionPresent} in place of ${due.sessionPresent}`,
        );
        return undefined;
      }
      case 'publish':
        return this.#publish(connection, this.#resolve(connection, packet));
      case 'pubrel':
        this.#release(connection, packet.packetIdentifier, packet.reasonCode);
        return undefined;
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        this.#owed(connection, packet.type, packet.packetIdentifier, [packet.reasonCode]);
        return undefined;
      case 'suback':
      case 'unsuback':
        this.#owed(connection, packet.type, packet.packetIdentifier, packet.reasonCodes);
        return undefined;
      case 'pingresp':
        this.#owed(connection, packet.type, 0, []);
        return undefined;
      case 'auth':
        check(connection.owedAuth-- > 0, 'AUTH that nobody waits for');
        return undefined;
      case 'disconnect': {
        connection.disconnectSeen = true;
        const { reasonCode } = packet;
        this.#mayEnd(connection, reasonName(reasonCode));
        const codes = connection.ending?.codes;
        check(
          codes?.includes(reasonCode) === true,
          `DISCONNECT ${reasonName(reasonCode)}, though ${connection.ending?.why}`,
        );
        return undefined;
      }
      default:
        throw new Failure(`${packet.type} is not for a server to send`);
    }
  }

  #publish(connection: ModelConnection, packet: Publish): Delivery {
    if (packet.topic.startsWith('$SYS/')) this.model.system.publish(true);
    return observePublish(this.model, connection, packet);
  }

  /** The PUBLISH with its Topic Alias resolved. [MQTT-3.1.2-26] [MQTT-3.1.2-27] */
  #resolve(connection: ModelConnection, packet: Publish): Publish {
    const { topicAlias, topic } = packet;
    if (topicAlias === undefined) return packet;
    const maximum = connection.connect?.topicAliasMaximum ?? 0;
    check(topicAlias > 0 && topicAlias <= maximum, `Topic Alias ${topicAlias} of ${maximum}`);
    if (topic !== '') connection.aliasesOut.set(topicAlias, topic as TopicName);
    const known = connection.aliasesOut.get(topicAlias);
    check(known !== undefined, `Topic Alias ${topicAlias} was never set`);
    return { ...packet, topic: known };
  }

  #owed(
    connection: ModelConnection,
    type: Packet['type'],
    packetIdentifier: number,
    codes: readonly number[],
  ): void {
    // Each kind in the order of what it answers. [MQTT-4.6.0-2] [MQTT-4.6.0-3]
    const index = connection.owed.findIndex((each) => each.type === type);
    const due = connection.owed[index];
    check(
      due !== undefined && due.packetIdentifier === packetIdentifier,
      `${type} ${packetIdentifier}, though ${due?.packetIdentifier ?? 'none'} is due`,
    );
    const fits = due.codes.length === 0 || due.codes.length === codes.length;
    check(
      fits && due.codes.every((allowed, i) => allowed.includes(codes[i] as number)),
      () => `${type} ${packetIdentifier} with ${codes.join()} in place of ${due.codes.join(' ')}`,
    );
    connection.owed.splice(index, 1);
  }

  #release(connection: ModelConnection, packetIdentifier: number, reasonCode: number): void {
    const { session } = connection;
    const delivery = session?.deliveries.find(
      (each) => each.stage === 'released' && each.packetIdentifier === packetIdentifier,
    );
    if (delivery !== undefined && delivery.sentOn !== connection.id) {
      // Again on this connection, in the order of the PUBREC packets. [MQTT-4.4.0-1] [MQTT-4.6.0-4]
      const older = session?.deliveries.find(
        (each) =>
          each.stage === 'released' &&
          each.sentOn !== connection.id &&
          each.sentSerial < delivery.sentSerial,
      );
      check(older === undefined, () => `PUBREL for ${delivery} before that for ${older}`);
    } else {
      const due = connection.owedReleases.shift();
      check(
        due?.packetIdentifier === packetIdentifier && due.codes.includes(reasonCode),
        `PUBREL ${packetIdentifier}, though ${due?.packetIdentifier ?? 'none'} is due`,
      );
    }
    if (delivery !== undefined) delivery.sentOn = connection.id;
  }

  #handle(message: Message): void {
    const payload = new TextDecoder().decode(message.payload);
    const { commands } = this.model.routing;
    const index = commands.findIndex((each) => each.payload === payload);
    check(index !== -1, `a plugin is handed ${payload}, which is no command`);
    // In order for each publisher; Wills that are due at once come as they come, and so do stored ones among QoS 0.
    const stored = this.#isStored(commands[index] as ModelMessage);
    const { user, clientIdentifier } = message.publisher;
    const before = commands
      .slice(0, index)
      .find(
        (each) =>
          each.publisher.user === user &&
          each.publisher.clientIdentifier === clientIdentifier &&
          this.#isStored(each) === stored,
      );
    check(before === undefined, `a plugin is handed ${payload} before ${before?.payload}`);
    commands.splice(index, 1);
  }

  #expired({ user, clientIdentifier }: Party): void {
    const session = this.model.sessions.get(`${user}/${clientIdentifier}`);
    check(session !== undefined, `${user}/${clientIdentifier} has no session that could expire`);
    this.model.expired(session);
  }

  #close(connection: ModelConnection): void {
    this.#mayEnd(connection);
    connection.closeSeen = true;
    const { ending } = connection;
    if (ending?.codes !== undefined && ending.codes.length > 0) {
      check(connection.disconnectSeen, `closed without DISCONNECT, though ${ending.why}`);
    }
    if (connection.connack?.codes !== undefined) {
      check(connection.connackSeen, 'closed without CONNACK');
    }
  }

  /** Where the model does not know why the connection ends: it was silent, or its reader is slow. */
  #mayEnd(connection: ModelConnection, told = 'without a word'): void {
    const { model } = this;
    if (connection.phase === 'closed') return;
    const { KeepAliveTimeout, NotAuthorized, QuotaExceeded } = ReasonCode;
    const slowForMs = model.now - connection.overSinceMs;
    const slow = slowForMs >= model.limits.slowReaderTimeoutMs || connection.overrun;
    const codes = [
      ...(tokenExpired(model, connection) ? [NotAuthorized] : []),
      ...(silent(model, connection) ? [KeepAliveTimeout] : []),
      ...(slow ? [QuotaExceeded] : []),
    ];
    check(codes.length > 0, `connection ${connection.id} is ended for no reason: ${told}`);
    model.broke(connection, codes, 'it expired, is silent or reads too slowly');
  }

  /** The shell wrote to the socket. */
  flushed(connection: ModelConnection, waitingBytes: number): void {
    connection.pendingBytes = waitingBytes;
    const { outboundBytes } = this.model.limits;
    if (waitingBytes * 2 <= outboundBytes) connection.overSinceMs = Infinity;
    else if (waitingBytes > outboundBytes) this.#over(connection);
  }

  #over(connection: ModelConnection): void {
    connection.overSinceMs = Math.min(connection.overSinceMs, this.model.now);
  }

  /** Whatever deadlines there were have passed: nothing that is due may be left. */
  endPassing(): void {
    for (const connection of this.model.connections.values()) {
      check(
        !tokenExpired(this.model, connection),
        `the token of ${connection.id} expired, and it is open`,
      );
      check(
        !silent(this.model, connection, true),
        `connection ${connection.id} is open and silent`,
      );
    }
    const late = overdue(this.model, this.model.now + 1);
    check(late === undefined, () => `${late} is overdue`);
  }

  /** What cannot wait beyond the turn. */
  endTurn(): void {
    this.model.system.publish(false);
    const { outboundBytes } = this.model.limits;
    for (const connection of this.model.connections.values()) {
      if (connection.phase === 'closed') {
        check(
          connection.closeSeen,
          `connection ${connection.id} is still open, though ${connection.ending?.why}`,
        );
        this.model.connections.delete(connection.id);
        continue;
      }
      check(connection.verifySeen, 'a token is not checked');
      check(!connection.overrun, `${connection.pendingBytes} bytes wait for a slow reader`);
      const congested = connection.pendingPeak > outboundBytes;
      connection.pendingPeak = connection.pendingBytes;
      for (const delivery of connection.session?.deliveries ?? []) {
        if (delivery.terms.qos > 0 || delivery.replayed) continue; // replays wait for room
        if (congested) delivery.excuse ??= 'QoS 0, and the reader was slow';
        check(delivery.excuse !== undefined, () => `not sent: ${delivery}`);
      }
      if (connection.session?.link === connection) {
        const { session } = connection;
        session.deliveries = session.deliveries.filter(
          (each) => each.terms.qos > 0 || each.replayed,
        );
      }
    }
    for (const delivery of this.model.routing.shared) {
      // Whoever it was for, it is over: nobody queues QoS 0.
      if (delivery.message.qos === 0) this.model.routing.shared.delete(delivery);
    }
    const command = this.model.routing.commands.find((each) => !this.#isStored(each));
    check(command === undefined, `no plugin is handed ${command?.payload}`);
  }

  /** Whether a command waits for the disk before a plugin is handed it. */
  #isStored({ qos }: ModelMessage): boolean {
    return this.model.durable && qos > 0;
  }

  /** Everybody is connected, and nothing is on its way any more: nothing may be missing. */
  atRest(): void {
    for (const connection of this.model.connections.values()) {
      const due = connection.owed[0];
      check(due === undefined, `${due?.type} ${due?.packetIdentifier} never came`);
      check(connection.owedReleases.length === 0, 'a PUBREL never came');
      check(connection.owedAuth === 0, 'an AUTH never came');
    }
    for (const session of this.model.sessions.values()) {
      check(session.link !== undefined, `${session.key} is not connected at the end`);
    }
    const { latest, routing } = this.model;
    const command = routing.commands[0];
    check(command === undefined, `no plugin was handed ${command?.payload}`);
    for (const delivery of routing.all) {
      if (delivery.stage === 'over') continue;
      if (delivery.terms.qos === 0 && !delivery.replayed) continue;
      if (delivery.doubtful) continue;
      const held = delivery.stage === 'waiting' || delivery.loose;
      if (delivery.excuse !== undefined && held) continue;
      if (delivery.message.expiresAtMs <= latest && held) continue;
      if (delivery.session?.ended) continue;
      throw new Failure(`lost: ${delivery}`);
    }
  }
}
