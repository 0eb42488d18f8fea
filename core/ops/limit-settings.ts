/** The settings for the numbers that bound the core: one for each of `Limits`, or this does not compile. */
import { defaultLimits, type Limits } from '../broker/limits.ts';
import { choice, integer, type Setting } from './setting.ts';

const DAY_MS = 24 * 3600_000;
const MEBIBYTE = 1024 * 1024;
const TEBIBYTE = MEBIBYTE * MEBIBYTE;

export const limits = {
  connectTimeoutMs: integer(
    defaultLimits.connectTimeoutMs,
    100,
    DAY_MS,
    'Time a new connection has to send CONNECT and have its token checked',
  ),
  connectPacketBytes: integer(
    defaultLimits.connectPacketBytes,
    1_024,
    256 * MEBIBYTE,
    'Largest packet before CONNECT is accepted',
  ),
  maximumPacketSize: integer(
    defaultLimits.maximumPacketSize,
    1_024,
    256 * MEBIBYTE,
    'Largest packet after that, in bytes; MQTT 5 clients are told',
  ),
  maximumConnections: integer(
    defaultLimits.maximumConnections,
    1,
    100_000_000,
    'Connections in all',
  ),
  maximumConnectionsPerAddress: integer(
    defaultLimits.maximumConnectionsPerAddress,
    1,
    100_000_000,
    'Connections from one address',
  ),
  maximumSubscriptions: integer(
    defaultLimits.maximumSubscriptions,
    1,
    10_000_000,
    'Subscriptions of one session',
  ),
  maximumTopicBytes: integer(
    defaultLimits.maximumTopicBytes,
    1,
    65_535,
    'Longest topic, in bytes of UTF-8',
  ),
  maximumTopicLevels: integer(
    defaultLimits.maximumTopicLevels,
    1,
    65_535,
    'Most levels of a topic',
  ),
  receiveMaximum: integer(
    defaultLimits.receiveMaximum,
    1,
    65_535,
    'QoS 1 and 2 messages that a client may have unacknowledged towards us',
  ),
  maximumInflight: integer(
    defaultLimits.maximumInflight,
    1,
    65_535,
    'QoS 1 and 2 messages that we have unacknowledged towards a client',
  ),
  queuedMessages: integer(
    defaultLimits.queuedMessages,
    0,
    100_000_000,
    'Messages that wait for one session',
  ),
  queuedBytes: integer(
    defaultLimits.queuedBytes,
    0,
    TEBIBYTE,
    'Bytes of messages that wait for one session',
  ),
  queuedMessagesInAll: integer(
    defaultLimits.queuedMessagesInAll,
    0,
    100_000_000_000,
    'Messages that wait for all sessions together',
  ),
  queuePolicy: choice(
    defaultLimits.queuePolicy,
    ['drop-oldest', 'drop-newest', 'refuse'],
    'What happens to a message for a session whose queue is full; `refuse` answers the publisher 0x97',
  ),
  outboundBytes: integer(
    defaultLimits.outboundBytes,
    65_536,
    TEBIBYTE,
    "Bytes that may wait for a connection's socket",
  ),
  slowReader: choice(
    defaultLimits.slowReader,
    ['disconnect', 'slow-publishers'],
    'Whether a slow reader loses QoS 0 and is cut, or slows down who publishes to it first',
  ),
  slowReaderTimeoutMs: integer(
    defaultLimits.slowReaderTimeoutMs,
    100,
    DAY_MS,
    'Time a connection may stay over OUTBOUND_BYTES before it is cut',
  ),
  retainedMessages: integer(
    defaultLimits.retainedMessages,
    0,
    100_000_000,
    'Retained messages in all',
  ),
  retainedBytes: integer(
    defaultLimits.retainedBytes,
    0,
    TEBIBYTE,
    'Bytes of retained messages in all',
  ),
  maximumSessionExpirySeconds: integer(
    defaultLimits.maximumSessionExpirySeconds,
    0,
    0xffff_ffff,
    'Longest Session Expiry Interval granted; also that of MQTT 3 sessions with Clean Session 0',
  ),
  maximumSessions: integer(defaultLimits.maximumSessions, 1, 100_000_000, 'Sessions in all'),
  maximumKeepAliveSeconds: integer(
    defaultLimits.maximumKeepAliveSeconds,
    0,
    65_535,
    'Longest Keep Alive; others are told a Server Keep Alive. 0 leaves it to the client',
  ),
  topicAliasMaximum: integer(
    defaultLimits.topicAliasMaximum,
    0,
    65_535,
    'Topic Aliases that an MQTT 5 client may use towards us',
  ),
  outboundTopicAliases: integer(
    defaultLimits.outboundTopicAliases,
    0,
    65_535,
    'Topic Aliases that we use towards an MQTT 5 client that allows them',
  ),
  legacyRefusal: choice(
    defaultLimits.legacyRefusal,
    ['acknowledge', 'close'],
    'What an MQTT 3 client meets when it publishes where it may not; MQTT 5 clients get 0x87 either way',
  ),
  sysIntervalSeconds: integer(
    defaultLimits.sysIntervalSeconds,
    0,
    86_400,
    'Time between two rounds of `$SYS` messages; 0 turns them off',
  ),
} satisfies { readonly [K in keyof Limits]: Setting<Limits[K]> };
