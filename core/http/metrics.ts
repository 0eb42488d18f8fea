/**
 * What `/metrics` shows: the counters of the core and of the shell, and the process.
 *
 * Dashboards and alerts hang on these names for years. Each drop and each refusal is a series of its
 * own, by reason, so that no message and no client goes missing without one of them having moved.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import type { Counters } from '../broker/counters.ts';
import type { TlsMaterial } from '../net/certificate.ts';
import type { NetCounters } from '../net/counters.ts';
import type { Turn } from '../net/turn.ts';
import type { LoopLag } from './loop-lag.ts';
import { MetricsPage } from './prometheus.ts';

export interface MetricsOptions {
  readonly version: string;
  readonly turn: Turn;
  readonly lag: LoopLag;
  /** Undefined where there is no TLS. */
  readonly material: () => TlsMaterial | undefined;
  /** Adds what others have to show. */
  readonly more?: (page: MetricsPage) => void;
}

/** The page as it is now. */
export async function metricsPage(options: MetricsOptions): Promise<string> {
  const { version, turn, lag, material, more } = options;
  const page = new MetricsPage();
  page.gauge('bellhop_build_info', 'The version that runs.', [[{ version }, 1]]);
  writeBroker(page, turn.broker.counters);
  writeNet(page, turn, turn.counters);
  writeCertificates(page, material());
  page.histogram(
    'bellhop_event_loop_lag_seconds',
    'How late a timer of the event loop was, sampled.',
    lag.seconds,
  );
  more?.(page);
  await writeProcess(page);
  return page.text;
}

function writeBroker(page: MetricsPage, counters: Counters): void {
  page
    .gauge('bellhop_connections', 'Network connections that are open.', counters.connections)
    .gauge('bellhop_clients', 'Connections whose CONNECT was accepted.', counters.clientsConnected)
    .gauge('bellhop_clients_maximum', 'Most clients at a time.', counters.clientsMaximum)
    .gauge('bellhop_sessions', 'Sessions, connected or not.', counters.sessions)
    .gauge('bellhop_subscriptions', 'Subscriptions, shared ones included.', counters.subscriptions)
    .gauge(
      'bellhop_shared_subscriptions',
      'Shared Subscriptions by session.',
      counters.sharedSubscriptions,
    )
    .gauge('bellhop_retained_messages', 'Retained messages.', counters.retainedMessages)
    .gauge('bellhop_retained_bytes', 'Bytes of retained messages.', counters.retainedBytes)
    .gauge('bellhop_queued_messages', 'Messages that wait for sessions.', counters.queuedMessages)
    .gauge('bellhop_inflight_messages', 'Messages not acknowledged yet.', counters.inflightMessages)
    .counter('bellhop_connections_opened_total', 'Connections opened.', counters.connectionsOpened)
    .counter('bellhop_received_bytes_total', 'Bytes received.', counters.bytesReceived)
    .counter('bellhop_sent_bytes_total', 'Bytes sent.', counters.bytesSent)
    .counter('bellhop_received_packets_total', 'Packets received.', counters.packetsReceived)
    .counter('bellhop_sent_packets_total', 'Packets sent.', counters.packetsSent)
    .counter('bellhop_received_messages_total', 'PUBLISH received.', counters.publishReceived)
    .counter('bellhop_sent_messages_total', 'PUBLISH sent.', counters.publishSent)
    .counter(
      'bellhop_received_payload_bytes_total',
      'Payload bytes of PUBLISH received.',
      counters.publishBytesReceived,
    )
    .counter(
      'bellhop_sent_payload_bytes_total',
      'Payload bytes of PUBLISH sent.',
      counters.publishBytesSent,
    )
    .counter('bellhop_commands_total', 'Commands handed to plugins.', counters.commandsHandled)
    .counter(
      'bellhop_commands_repeated_total',
      'QoS 1 commands that came again over a new connection, and were not carried out again.',
      counters.commandsRepeated,
    )
    .counter('bellhop_dead_letters_total', 'Commands that a handler gave up.', counters.deadLetters)
    .counter(
      'bellhop_dead_letters_lost_total',
      'Dead letters that could not be kept.',
      counters.deadLettersLost,
    )
    .counter('bellhop_sessions_expired_total', 'Sessions that expired.', counters.sessionsExpired)
    .counter(
      'bellhop_session_takeovers_total',
      'Sessions taken over by a new connection.',
      counters.takeovers,
    )
    .countersBy(
      'bellhop_connects_refused_total',
      'CONNECT refused, by Reason Code.',
      'reason',
      counters.refused,
    )
    .countersBy(
      'bellhop_publishes_refused_total',
      'PUBLISH refused, by Reason Code.',
      'reason',
      counters.publishRefused,
    )
    .countersBy(
      'bellhop_subscriptions_refused_total',
      'Subscriptions refused, by Reason Code.',
      'reason',
      counters.subscribeRefused,
    )
    .countersBy(
      'bellhop_disconnects_total',
      'Connections ended by the broker, by Reason Code.',
      'reason',
      counters.disconnected,
    )
    .countersBy(
      'bellhop_messages_dropped_total',
      'Messages that did not reach somebody they were for.',
      'reason',
      counters.dropped,
    );
}

/** What the storage counts of dead letters. */
export interface LetterCounters {
  readonly deadLetters: number;
  readonly deadLetterBytes: number;
  readonly deadLettersDropped: number;
}

export function writeLetterMetrics(page: MetricsPage, counters: LetterCounters): void {
  page
    .gauge('bellhop_dead_letters', 'Dead letters that are kept.', counters.deadLetters)
    .gauge(
      'bellhop_dead_letter_bytes',
      'Bytes of dead letters, with their messages.',
      counters.deadLetterBytes,
    )
    .counter(
      'bellhop_dead_letters_dropped_total',
      'Dead letters that went because there were too many.',
      counters.deadLettersDropped,
    );
}

function writeNet(page: MetricsPage, turn: Turn, counters: NetCounters): void {
  page
    .gauge('bellhop_sockets', 'Sockets of connections, closed ones included.', turn.sockets)
    .gauge(
      'bellhop_sockets_lingering',
      'Sockets of closed connections that still flush or wait for the peer.',
      turn.lingering,
    )
    .counter(
      'bellhop_sockets_cut_total',
      'Closed connections whose peer did not end in time.',
      counters.cut,
    )
    .counter(
      'bellhop_certificate_reloads_total',
      'Certificates taken up while running, and refused.',
      [
        [{ result: 'used' }, counters.certificateReloads],
        [{ result: 'refused' }, counters.certificateReloadFailures],
      ],
    )
    .countersBy(
      'bellhop_sockets_accepted_total',
      'Connections accepted, by listener.',
      'listener',
      counters.accepted,
    )
    .countersBy(
      'bellhop_sockets_refused_total',
      'Sockets that were refused before they spoke MQTT.',
      'reason',
      counters.refused,
    )
    .counter(
      'bellhop_websocket_text_frames_total',
      'WebSocket connections ended because they sent text.',
      counters.websocketText,
    )
    .counter('bellhop_faults_total', 'Internal errors: each is a bug.', counters.faults)
    .histogram(
      'bellhop_turn_seconds',
      'Time that turns of the event loop took the broker.',
      counters.turnSeconds,
    );
}

function writeCertificates(page: MetricsPage, material: TlsMaterial | undefined): void {
  if (material === undefined) return;
  page.gauge(
    'bellhop_certificate_expiry_timestamp_seconds',
    'When a server certificate expires.',
    material.certificates.map(({ names, expiresAtMs }) => [
      { name: names[0] ?? '' },
      expiresAtMs / 1_000,
    ]),
  );
}

async function writeProcess(page: MetricsPage): Promise<void> {
  const cpu = process.cpuUsage();
  const startedAt = performance.timeOrigin / 1_000;
  page
    .counter(
      'process_cpu_seconds_total',
      'CPU time in user and system mode.',
      (cpu.user + cpu.system) / 1e6,
    )
    .gauge('process_resident_memory_bytes', 'Resident memory.', process.memoryUsage.rss())
    .gauge('process_start_time_seconds', 'When the process started.', startedAt);
  const open = await openFiles();
  if (open !== undefined) page.gauge('process_open_fds', 'Open file descriptors.', open);
  const most = await mostFiles();
  if (most !== undefined) page.gauge('process_max_fds', 'Most open file descriptors.', most);
}

/** Undefined where the system does not tell. */
async function openFiles(): Promise<number | undefined> {
  try {
    // Linux tells the number as the size since 6.2; before, the size is 0 and they are to be counted.
    const { size } = await stat('/proc/self/fd');
    return size > 0 ? size : (await readdir('/proc/self/fd')).length;
  } catch {
    return undefined;
  }
}

async function mostFiles(): Promise<number | undefined> {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'));
    return limit?.[1] === undefined ? undefined : Number(limit[1]);
  } catch {
    return undefined;
  }
}
