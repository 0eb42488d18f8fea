/**
 * QoS 1 and 2 as receiver (section 4.3): which Packet Identifiers the client has in use towards us.
 * Guards that a QoS 2 message is passed on once, and the Receive Maximum that we granted.
 */
import type { PacketIdentifier, QoS } from '../mqtt/packet.ts';

export class Inbound {
  /** QoS 2: received, PUBREC sent or due, PUBREL not seen. */
  #unreleased: Set<PacketIdentifier> | undefined = undefined;
  /** Those of them that came over an earlier connection alone. */
  #earlier: Set<PacketIdentifier> | undefined = undefined;
  /** QoS 1: received, PUBACK not sent yet. */
  #unacknowledged = 0;

  /**
   * PUBLISH packets of QoS 1 and 2 that came over this connection and are not completely
   * acknowledged: the client's quota begins anew with each one (section 4.9). [MQTT-3.3.4-7]
   */
  get outstanding(): number {
    const received = (this.#unreleased?.size ?? 0) - (this.#earlier?.size ?? 0);
    return this.#unacknowledged + received;
  }

  /**
   * Takes note of a PUBLISH of QoS 1 or 2. False where it is a QoS 2 message that is here already:
   * it is answered with PUBREC again and goes no further. [MQTT-4.3.3-10]
   */
  begin(packetIdentifier: PacketIdentifier, qos: QoS): boolean {
    if (qos === 1) {
      this.#unacknowledged++;
      return true;
    }
    this.#unreleased ??= new Set();
    if (this.#unreleased.has(packetIdentifier)) {
      this.#earlier?.delete(packetIdentifier);
      return false;
    }
    this.#unreleased.add(packetIdentifier);
    return true;
  }

  /** Takes back the identifiers that were in use before a restart. */
  restore(packetIdentifiers: readonly PacketIdentifier[]): void {
    this.#unreleased = new Set(packetIdentifiers);
    this.#earlier = new Set(packetIdentifiers);
  }

  /** True while a QoS 2 message holds the identifier. */
  holds(packetIdentifier: PacketIdentifier): boolean {
    return this.#unreleased?.has(packetIdentifier) ?? false;
  }

  /** PUBACK is sent. */
  acknowledged(): void {
    this.#unacknowledged--;
  }

  /**
   * PUBREL came, or PUBREC refused the message: the identifier is free, and the next PUBLISH under
   * it is a new message. False where nothing held it. [MQTT-4.3.3-9] [MQTT-4.3.3-11]
   */
  release(packetIdentifier: PacketIdentifier): boolean {
    this.#earlier?.delete(packetIdentifier);
    return this.#unreleased?.delete(packetIdentifier) ?? false;
  }

  /** The connection ended: PUBACKs that were due are not, the client sends those messages again. */
  detach(): void {
    this.#unacknowledged = 0;
    this.#earlier = this.#unreleased && new Set(this.#unreleased);
  }
}
