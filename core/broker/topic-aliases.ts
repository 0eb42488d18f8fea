/**
 * Topic Aliases of one connection (section 3.3.2.3.4), set by the client and by us, and made where
 * either does. They end with the connection. From here on a message has its real topic: no rule is ever
 * asked about an empty one.
 */
import type { Publish } from '../mqtt/packet.ts';
import { ProtocolViolation, ReasonCode } from '../mqtt/reason-code.ts';
import { parseTopicName, type TopicName } from '../mqtt/topic.ts';

export class TopicAliases {
  /** Highest alias that the client may use. */
  readonly #maximum: number;
  #inbound: (TopicName | undefined)[] | undefined = undefined;
  #outbound: Map<TopicName, number> | undefined = undefined;
  /** How many aliases we may use towards the client: 0 until it allows some. [MQTT-3.1.2-26] */
  outboundMaximum = 0;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Turns what a PUBLISH names, by Topic Name or Topic Alias, into its Topic Name. [MQTT-3.3.2-7] */
  resolve(packet: Publish): TopicName {
    const alias = packet.topicAlias;
    if (alias !== undefined && (alias === 0 || alias > this.#maximum)) {
      throw new ProtocolViolation(
        ReasonCode.TopicAliasInvalid,
        alias === 0 ? 'MQTT-3.3.2-8' : 'MQTT-3.3.2-9',
        `Topic Alias ${alias}`,
      );
    }
    if (packet.topic === '') {
      const known = alias === undefined ? undefined : this.#inbound?.[alias];
      if (known !== undefined) return known;
      throw new ProtocolViolation(
        ReasonCode.ProtocolError,
        'MQTT-4.7.3-1',
        alias === undefined ? 'empty Topic Name' : `Topic Alias ${alias} was never set`,
      );
    }
    const topic = topicNamed(packet);
    if (alias !== undefined) {
      this.#inbound ??= [];
      this.#inbound[alias] = topic;
    }
    return topic;
  }

  /** Our alias for `topic`; undefined where it has none. */
  outbound(topic: TopicName): number | undefined {
    return this.#outbound?.get(topic);
  }

  /** The alias that `topic` would get; undefined where none is left. */
  nextOutbound(): number | undefined {
    const used = this.#outbound?.size ?? 0;
    return used < this.outboundMaximum ? used + 1 : undefined;
  }

  /** Takes note that a PUBLISH set `alias` for `topic`. */
  setOutbound(topic: TopicName, alias: number): void {
    this.#outbound ??= new Map();
    this.#outbound.set(topic, alias);
  }
}

/** The Topic Name in a PUBLISH, which is not empty. */
export function topicNamed(packet: Publish): TopicName {
  const topic = parseTopicName(packet.topic);
  if (topic !== undefined) return topic;
  throw new ProtocolViolation(
    ReasonCode.TopicNameInvalid,
    'MQTT-3.3.2-2',
    'Topic Name with a wildcard',
  );
}
