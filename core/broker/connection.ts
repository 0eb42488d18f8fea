/**
 * One Network Connection: its protocol state, its deadlines, and the one `catch`: whatever the peer does
 * wrong ends here, with a Reason Code, and ends nothing but this connection.
 */
import { compileRights, type Identity, type Rights } from '../auth/rights.ts';
import { decodeOther, decodeView, isPublish } from '../mqtt/codec.ts';
import { Framer } from '../mqtt/framing.ts';
import type {
  Disconnect,
  Packet,
  ProtocolVersion,
  Publish,
  Publisher,
  QoS,
} from '../mqtt/packet.ts';
import {
  ProtocolViolation,
  ReasonCode,
  reasonForDisconnect,
  reasonName,
} from '../mqtt/reason-code.ts';
import { refuse } from './connect.ts';
import { count } from './counters.ts';
import type { Deadline } from './deadlines.ts';
import { concluded, received } from './exchange.ts';
import { type Greeting, greet } from './greeting.ts';
import type { ConnectionId, Millis, Party } from './outbox.ts';
import { Outflow } from './outflow.ts';
import { disappear, type PresenceMark } from './presence.ts';
import { clientForm, type Form } from './publication.ts';
import { publish, released } from './publish.ts';
import { forget, type Receipt } from './receipts.ts';
import { reauthenticate } from './renewal.ts';
import { detach } from './sessions.ts';
import type { ClientSession, Due, Place, State } from './state.ts';
import { subscribe, unsubscribe } from './subscribe.ts';
import { noTerms } from './terms.ts';
import { TopicAliases } from './topic-aliases.ts';
import { discardWill, type WillMessage } from './will.ts';

/**
 * Where a connection stands: no CONNECT yet; enhanced authentication under way; its token being
 * checked; open; open with a new token being checked; over.
 */
export type Phase = 'fresh' | 'authenticating' | 'verifying' | 'open' | 'renewing' | 'closed';

/** A new token, while it is checked: what is answered when the verdict is in. */
export type Renewal =
  | { readonly by: 'auth' }
  | { readonly by: 'publish'; readonly qos: QoS; readonly packetIdentifier: number };

const PINGRESP = new Uint8Array([0xd0, 0]);
const NOBODY: Publisher = { user: '', clientIdentifier: '', device: true };

export class Connection implements Due {
  readonly state: State;
  readonly id: ConnectionId;
  readonly place: Place;
  readonly framer: Framer;
  phase: Phase = 'fresh';
  protocolVersion: ProtocolVersion = 4;
  /** Undefined once CONNECT is accepted. */
  greeting: Greeting | undefined;
  renewal: Renewal | undefined = undefined;
  clientIdentifier = '';
  /** Infinity for a token that does not expire. */
  tokenExpiresMs: Millis = Number.POSITIVE_INFINITY;
  rights: Rights | undefined = undefined;
  /** Who its messages are from. */
  publisher: Publisher = NOBODY;
  session: ClientSession | undefined = undefined;
  will: WillMessage | undefined = undefined;
  terms = noTerms;
  /** When the last complete Control Packet came. */
  lastPacketMs: Millis;
  /** What it is to be told once something is on disk, in order; undefined while nothing waits. */
  receipts: Receipt[] | undefined = undefined;
  readonly out: Outflow;
  /** How many slow readers this publisher waits for. */
  heldBy = 0;
  /** Whether it counts as a device that is connected. */
  presence: PresenceMark = 'none';
  aliases: TopicAliases | undefined = undefined;
  /** The form in which the client gets messages, without QoS and RETAIN: its version, and whether it is told who said it. */
  form: Form = 0;
  readonly deadline: Deadline<Due>;

  /** `refusal` is what CONNECT is answered with where the broker is full. */
  constructor(
    state: State,
    id: ConnectionId,
    place: Place,
    refusal: ReasonCode | undefined,
    now: Millis,
  ) {
    this.state = state;
    this.id = id;
    this.place = place;
    this.out = new Outflow(this);
    this.framer = new Framer(state.limits.connectPacketBytes);
    this.lastPacketMs = now;
    const byMs = now + state.limits.connectTimeoutMs;
    this.greeting = { byMs, refusal, introduced: false, connect: undefined };
    this.deadline = state.deadlines.set(byMs, this);
  }

  get party(): Party {
    return {
      connection: this.id,
      address: this.place.address,
      user: this.rights && this.publisher.user,
      clientIdentifier: this.clientIdentifier === '' ? undefined : this.clientIdentifier,
    };
  }

  get version5(): boolean {
    return this.protocolVersion === 5;
  }

  openAliases(): TopicAliases {
    this.aliases ??= new TopicAliases(this.state.limits.topicAliasMaximum);
    return this.aliases;
  }

  /** Takes on what a verified token says: from here on it acts as `identity`. */
  authorize(identity: Identity): Rights {
    const { clientIdentifier, state } = this;
    const { role, user } = identity;
    this.tokenExpiresMs = identity.expiresAtMs;
    this.publisher = { user, clientIdentifier, device: role === 'device' };
    this.form = clientForm(this.version5, role);
    this.rights = compileRights(identity, clientIdentifier, state.policy, state.commands);
    return this.rights;
  }

  /** Bytes came in. Reads what is complete, until the phase says that the rest must wait. */
  receive(bytes: Uint8Array, now: Millis): void {
    this.state.counters.bytesReceived += bytes.length;
    try {
      this.framer.push(bytes);
      this.read(now);
    } catch (error) {
      this.fail(error, now);
    }
  }

  /** Goes on reading after a verdict, from what came meanwhile. */
  proceed(now: Millis): void {
    this.updateReading();
    try {
      this.read(now);
    } catch (error) {
      this.fail(error, now);
    }
  }

  private read(now: Millis): void {
    const framer = this.framer;
    while (this.reading && framer.next()) {
      this.state.counters.packetsReceived++;
      this.lastPacketMs = now;
      if (this.phase === 'open') {
        const { bytes, start, end } = framer;
        if (isPublish(bytes, start)) {
          publish(this.state, this, decodeView(bytes, start, end, this.protocolVersion), now);
        } else {
          this.handle(decodeOther(bytes, start, end, this.protocolVersion), now);
        }
      } else {
        greet(this.state, this, now);
      }
    }
  }

  /** A connection whose token is being checked reads no further packets. */
  get reading(): boolean {
    return this.phase === 'open' || this.phase === 'fresh' || this.phase === 'authenticating';
  }

  private handle(packet: Exclude<Packet, Publish>, now: Millis): void {
    switch (packet.type) {
      case 'puback':
      case 'pubcomp':
        return concluded(this.state, this, packet, now);
      case 'pubrec':
        return received(this.state, this, packet, now);
      case 'pubrel':
        return released(this.state, this, packet);
      case 'subscribe':
        return subscribe(this.state, this, packet, now);
      case 'unsubscribe':
        return unsubscribe(this.state, this, packet);
      case 'pingreq':
        return this.out.write(PINGRESP);
      case 'disconnect':
        return this.leave(packet, now);
      case 'auth':
        return reauthenticate(this.state, this, packet);
      case 'connect':
        throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-3.1.0-2', 'second CONNECT');
      case 'connack':
      case 'suback':
      case 'unsuback':
      case 'pingresp':
        throw new ProtocolViolation(
          ReasonCode.ProtocolError,
          '',
          `${packet.type} is for servers to send`,
        );
      default:
        packet satisfies never;
    }
  }

  /** DISCONNECT came. Anything but a normal disconnection leaves the Will to be sent. [MQTT-3.14.4-3] */
  leave(packet: Disconnect, now: Millis): void {
    const interval = packet.sessionExpiryInterval;
    const session = this.session;
    if (interval !== undefined && session !== undefined) {
      if (interval > 0 && this.terms.connectedWithExpiry === 0) {
        throw new ProtocolViolation(
          ReasonCode.ProtocolError,
          'MQTT-3.1.2-23',
          'Session Expiry Interval raised from 0 at DISCONNECT',
        );
      }
      session.expirySeconds = Math.min(interval, this.state.limits.maximumSessionExpirySeconds);
    }
    if (packet.reasonCode === ReasonCode.Success && this.will !== undefined) {
      this.will = undefined; // [MQTT-3.14.4-3]
      if (session !== undefined) discardWill(this.state, session);
    }
    this.state.outbox.close(this.id);
    this.over('client', packet.reasonCode, packet.reasonString ?? '', now);
  }

  /** The one place where what went wrong on a connection is met. */
  private fail(error: unknown, now: Millis): void {
    if (error instanceof ProtocolViolation) {
      const { reasonCode, statement, message } = error;
      this.state.outbox.report({
        kind: 'violation',
        party: this.party,
        reasonCode,
        statement,
        detail: message,
      });
      this.disconnect(reasonCode, message, now);
      return;
    }
    const fault = error instanceof Error ? error : new Error(String(error));
    this.state.outbox.report({ kind: 'fault', party: this.party, error: fault });
    this.disconnect(ReasonCode.ImplementationSpecificError, 'internal error', now);
  }

  /**
   * The broker ends the connection: a 5.0 client is told why, before CONNECT is accepted with
   * CONNACK and after that with DISCONNECT; a 3.x client with what CONNACK has for it.
   * [MQTT-4.13.1-1] [MQTT-4.13.2-1]
   */
  disconnect(reasonCode: ReasonCode, detail: string, now: Millis): void {
    if (this.phase === 'closed') return;
    if (this.phase === 'open' || this.phase === 'renewing') {
      if (this.version5) {
        const told = reasonForDisconnect(reasonCode);
        this.out.writePacket({ type: 'disconnect', reasonCode: told, reasonString: detail });
      }
      this.state.outbox.close(this.id);
      this.over('broker', reasonCode, detail, now);
    } else {
      refuse(this.state, this, reasonCode, detail, now);
    }
  }

  /** The connection is no more; the session is detached and lives on as it may. */
  over(
    by: 'client' | 'network' | 'broker',
    reasonCode: ReasonCode,
    detail: string,
    now: Millis,
  ): void {
    if (this.phase === 'closed') return;
    const wasOpen = this.phase === 'open' || this.phase === 'renewing';
    const { state } = this;
    this.phase = 'closed';
    state.deadlines.cancel(this.deadline);
    state.connections.delete(this.id);
    forget(state, this);
    state.counters.connections--;
    const { place } = this;
    if (--place.connections === 0) state.places.delete(place.address);
    this.out.releaseHeld(now);
    if (!wasOpen) return;
    state.counters.clientsConnected--;
    if (by === 'broker') count(state.counters.disconnected, reasonName(reasonCode));
    state.outbox.report({ kind: 'disconnected', party: this.party, reasonCode, by, detail });
    disappear(state, this, by === 'broker' && reasonCode === ReasonCode.SessionTakenOver, now);
    detach(state, this, now);
  }

  /** Its time may have come: to have sent CONNECT, to renew the token, to have drained, to have sent anything. */
  due(now: Millis): void {
    if (now >= this.connectByMs) {
      this.state.outbox.close(this.id);
      count(this.state.counters.refused, 'ConnectTimeout');
      this.state.outbox.report({
        kind: 'refused',
        party: this.party,
        reasonCode: ReasonCode.KeepAliveTimeout,
        detail: 'no accepted CONNECT in time',
      });
      this.over('broker', ReasonCode.KeepAliveTimeout, 'no accepted CONNECT in time', now);
    } else if (now >= this.tokenExpiresMs) {
      this.disconnect(ReasonCode.NotAuthorized, 'token expired', now);
    } else if (now >= this.slowUntilMs) {
      this.disconnect(ReasonCode.QuotaExceeded, 'the client reads too slowly', now);
    } else if (now >= this.silentUntilMs) {
      this.disconnect(ReasonCode.KeepAliveTimeout, 'Keep Alive timeout', now); // [MQTT-3.1.2-22]
    } else {
      this.schedule(now);
    }
  }

  private get connectByMs(): Millis {
    return this.greeting?.byMs ?? Number.POSITIVE_INFINITY;
  }

  private get slowUntilMs(): Millis {
    return this.out.congestedSinceMs + this.state.limits.slowReaderTimeoutMs;
  }

  /** One and a half times the Keep Alive without a Control Packet is the end. [MQTT-3.1.2-22] */
  private get silentUntilMs(): Millis {
    // While a token is checked or a slow reader is waited for, nothing is read, so that nobody can say that
    // the client is silent.
    const { keepAliveSeconds } = this.terms;
    if (keepAliveSeconds === 0 || this.phase === 'renewing' || this.heldBy > 0) {
      return Number.POSITIVE_INFINITY;
    }
    return this.lastPacketMs + keepAliveSeconds * 1_500;
  }

  /** Waits for whichever comes first. */
  schedule(now: Millis): void {
    const first = Math.min(
      this.connectByMs,
      this.tokenExpiresMs,
      this.slowUntilMs,
      this.silentUntilMs,
    );
    if (first === Number.POSITIVE_INFINITY) this.state.deadlines.cancel(this.deadline);
    else this.state.deadlines.move(this.deadline, Math.max(first, now));
  }

  /** A Reason String where the client wants them on such packets. [MQTT-3.1.2-29] */
  reason(text: string | undefined): string | undefined {
    return this.version5 && this.terms.requestProblemInformation ? text : undefined;
  }

  /** It is not read from until a slow reader has drained: see `SLOW_READER`. */
  hold(): void {
    this.heldBy++;
    this.updateReading();
  }

  /** A slow reader that it waited for has drained, or is gone. */
  letGo(now: Millis): void {
    this.heldBy--;
    if (this.phase === 'closed' || this.heldBy > 0) return;
    this.lastPacketMs = now;
    this.schedule(now);
    this.updateReading();
  }

  /** Tells the shell whether to read from the socket. */
  updateReading(): void {
    if (this.phase === 'closed') return;
    if (this.reading && this.heldBy === 0) this.state.outbox.resume(this.id);
    else this.state.outbox.pause(this.id);
  }
}
