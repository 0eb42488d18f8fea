/**
 * The numbers that bound the core. Each has a setting in `ops/settings.ts`, a Reason Code for the
 * client that reaches it, and a counter that shows it (`broker/counters.ts`).
 */
export interface Limits {
  /** Time a new connection has to send CONNECT and have its token checked. */
  readonly connectTimeoutMs: number;
  /** Largest packet before CONNECT is accepted, in bytes. */
  readonly connectPacketBytes: number;
  /** Largest packet that is accepted after that, in bytes; told to 5.0 clients as Maximum Packet Size. */
  readonly maximumPacketSize: number;
  readonly maximumConnections: number;
  readonly maximumConnectionsPerAddress: number;
  readonly maximumSubscriptions: number;
  readonly maximumTopicBytes: number;
  readonly maximumTopicLevels: number;
  /** QoS 1 and 2 messages that a 5.0 client may have unacknowledged towards us. */
  readonly receiveMaximum: number;
  /** QoS 1 and 2 messages that we have unacknowledged towards a client, however large its Receive Maximum. */
  readonly maximumInflight: number;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Messages that wait for all sessions together. */
  readonly queuedMessagesInAll: number;
  /** What happens to a message for a session whose queue is full; `refuse` answers the publisher 0x97. */
  readonly queuePolicy: 'drop-oldest' | 'drop-newest' | 'refuse';
  /** Bytes that may wait for a connection's socket. */
  readonly outboundBytes: number;
  /** Whether a reader that is too slow loses QoS 0 and is then cut, or slows down who publishes to it first. */
  readonly slowReader: 'disconnect' | 'slow-publishers';
  /** How long a connection may stay over `outboundBytes` before it is cut. */
  readonly slowReaderTimeoutMs: number;
  readonly retainedMessages: number;
  readonly retainedBytes: number;
  /** Longest Session Expiry Interval granted, in seconds; also that of 3.x sessions with Clean Session 0. */
  readonly maximumSessionExpirySeconds: number;
  readonly maximumSessions: number;
  /** Longest Keep Alive, in seconds; 0 leaves it to the client. Others are told a Server Keep Alive. */
  readonly maximumKeepAliveSeconds: number;
  /** Topic Aliases that a 5.0 client may use towards us. */
  readonly topicAliasMaximum: number;
  /** Topic Aliases that we use towards a client that allows them. */
  readonly outboundTopicAliases: number;
  /** What a 3.x client meets when it publishes where it may not. 5.0 clients get 0x87 either way. */
  readonly legacyRefusal: 'acknowledge' | 'close';
  /** Time between two rounds of `$SYS` messages, in seconds; 0 turns them off. */
  readonly sysIntervalSeconds: number;
}

/** The defaults, for tests; the settings table takes its own defaults from here. */
export const defaultLimits: Limits = {
  connectTimeoutMs: 10_000,
  connectPacketBytes: 65_536,
  maximumPacketSize: 4 * 1024 * 1024,
  maximumConnections: 1_000_000,
  maximumConnectionsPerAddress: 100_000,
  maximumSubscriptions: 1_000,
  maximumTopicBytes: 1_024,
  maximumTopicLevels: 32,
  receiveMaximum: 1_000,
  maximumInflight: 1_000,
  queuedMessages: 10_000,
  queuedBytes: 64 * 1024 * 1024,
  queuedMessagesInAll: 100_000_000,
  queuePolicy: 'drop-newest',
  outboundBytes: 16 * 1024 * 1024,
  slowReader: 'disconnect',
  slowReaderTimeoutMs: 30_000,
  retainedMessages: 1_000_000,
  retainedBytes: 1024 * 1024 * 1024,
  maximumSessionExpirySeconds: 7 * 24 * 3600,
  maximumSessions: 1_000_000,
  maximumKeepAliveSeconds: 0,
  topicAliasMaximum: 100,
  outboundTopicAliases: 100,
  legacyRefusal: 'acknowledge',
  sysIntervalSeconds: 10,
};
