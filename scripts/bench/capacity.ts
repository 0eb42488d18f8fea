/**
 * docs/capacity.md: what one machine holds, worked out on paper from measured costs. Every figure follows
 * from docs/performance/results.json and the assumptions below, which the page prints.
 */
import { count, kibibytes, mebibytes, milliseconds } from './format.ts';
import { type Measure, medianOf, type Results, sourcesOf } from './results.ts';
import { sizesOf } from './scenarios.ts';

const OURS = 'Bellhop';

/** The scenarios whose costs the model is made of. */
const needed = [
  ...['fan-out-100', 'pairs-0', 'pairs-1', 'durable-1', 'command-plugin'],
  ...['storm-tls', 'headline-rate', 'idle-tls'],
];

/** Machines as clouds rent them. */
const machines = [
  { cores: 2, memoryBytes: 4 * 2 ** 30 },
  { cores: 4, memoryBytes: 16 * 2 ** 30 },
  { cores: 8, memoryBytes: 32 * 2 ** 30 },
] as const;

/** Of a core; the rest is for peaks and for collecting garbage. */
const CPU_SHARE = 0.7;
/** Of the memory; the rest is for the page cache and for peaks. */
const MEMORY_SHARE = 0.6;
/** What the kernel keeps for an idle TCP connection. */
const KERNEL_BYTES = 4_096;
const PING_SECONDS = 60;
/** In which everybody is to be back after a network failed. */
const RETURN_SECONDS = 600;

/** What one thing costs, in microseconds of processor time: on the event loop, and in other threads. */
export interface Cost {
  readonly loop: number;
  readonly others: number;
  /** How many threads share `others`; undefined for as many as there are cores beside the loop's. */
  readonly threads: number | undefined;
}

export interface Costs {
  readonly delivery: Cost;
  readonly message: Cost;
  readonly durable: Cost;
  readonly command: Cost;
  readonly connect: Cost;
  readonly ping: Cost;
  readonly connectionBytes: number;
  readonly baseBytes: number;
  readonly syncsPerSecond: number;
}

export interface Limit {
  readonly perSecond: number;
  /** What is used up first. */
  readonly by: string;
}

/** The costs that the model needs, or the names of what was not measured. */
export function costsOf(results: Results): Costs | readonly string[] {
  const missing: string[] = [];
  const need = (scenario: string, measure: Measure): number => {
    const found = medianOf(results, scenario, OURS, measure);
    if (found === undefined) missing.push(`${scenario} (${measure})`);
    return found ?? 0;
  };
  const alone = (loop: number): Cost => ({ loop, others: 0, threads: 1 });
  const message = need('pairs-0', 'brokerCpuEach');
  const inMemory = need('pairs-1', 'brokerCpuEach');
  const durable = need('durable-1', 'brokerCpuEach');
  const command = need('command-plugin', 'brokerCpuEach');
  // A command in and its reply out are two messages to the loop.
  const ofLoop = Math.min(command, 2 * message);
  const connectionBytes = need('idle-tls', 'residentPerConnection');
  const resident = need('idle-tls', 'residentEnd');
  const { connections } = sizesOf(results);
  const costs: Costs = {
    delivery: alone(need('fan-out-100', 'brokerCpuEach')),
    message: alone(message),
    durable: {
      loop: Math.min(inMemory, durable),
      others: Math.max(0, durable - inMemory),
      threads: 1,
    },
    command: { loop: ofLoop, others: command - ofLoop, threads: undefined },
    connect: alone(need('storm-tls', 'brokerCpuEach')),
    ping: alone(need('headline-rate', 'brokerCpuEach')),
    connectionBytes,
    baseBytes: Math.max(0, resident - connections * connectionBytes),
    syncsPerSecond: sourcesOf(results, ['durable-1'])[0]?.machine.syncsPerSecond ?? 0,
  };
  return missing.length > 0 ? missing : costs;
}

/** How often a second a machine of `cores` can bear it, and why not more often. */
export function rateOf({ loop, others, threads }: Cost, cores: number): Limit {
  const available = 1e6 * CPU_SHARE;
  const beside = Math.max(1, Math.min(threads ?? cores - 1, cores));
  const limits: Limit[] = [
    { perSecond: available / loop, by: 'the event loop, which is one core' },
    {
      perSecond: (beside * available) / others,
      by: threads === 1 ? 'the storage thread' : 'the cores for handlers',
    },
    { perSecond: (cores * available) / (loop + others), by: 'all cores together' },
  ];
  return least(limits);
}

/** How many connections a machine can hold that are mostly silent, and why not more. */
export function connectionsOf(costs: Costs, cores: number, memoryBytes: number): Limit {
  const { connectionBytes, baseBytes, connect, ping } = costs;
  return least([
    {
      perSecond: (memoryBytes * MEMORY_SHARE - baseBytes) / (connectionBytes + KERNEL_BYTES),
      by: 'memory',
    },
    { perSecond: rateOf(ping, cores).perSecond * PING_SECONDS, by: 'pings' },
    {
      perSecond: rateOf(connect, cores).perSecond * RETURN_SECONDS,
      by: `TLS handshakes, when all come back within ${RETURN_SECONDS / 60} minutes`,
    },
  ]);
}

function least(limits: readonly Limit[]): Limit {
  return limits.reduce((found, each) => (each.perSecond < found.perSecond ? each : found));
}

export function capacityPage(results: Results): string {
  const costs = costsOf(results);
  if (!('delivery' in costs)) {
    return `# Capacity

This page is worked out from [results.json](performance/results.json), which lacks ${costs.join(', ')}:
\`bun run bench\` measures it.
`;
  }
  const warning = results.isQuick
    ? '**Worked out from a quick run, with small amounts: not to be relied upon.**\n\n'
    : '';
  return `# Capacity

${warning}What one machine holds, on paper: from the costs that \`bun run bench\` measured on ${datesOf(results)}
([performance.md](performance.md)) and the assumptions below. It is no promise: measure with
\`bellhop bench\` on the machine in question.

## Costs

| what | event loop | other threads |
| --- | --: | --: |
${costRow('one delivery of a fan-out, QoS 0', costs.delivery)}
${costRow('a message from one to one, QoS 0', costs.message)}
${costRow('a durable message, QoS 1, to a stored session', costs.durable)}
${costRow('a command to a plugin, and its reply', costs.command)}
${costRow('a connect over TLS, token included', costs.connect)}
${costRow('a ping, taken for as dear as a message to one of many connections', costs.ping)}

An idle TLS connection with a session and a subscription takes ${kibibytes(costs.connectionBytes)}, the process without any
${mebibytes(costs.baseBytes)}; the disk synced ${count(costs.syncsPerSecond)} small appends a second, one after the other.

## What fits

Each line by itself, with nothing else to do.

| | ${machines.map(({ cores, memoryBytes }) => `${cores} cores, ${memoryBytes / 2 ** 30} GiB`).join(' | ')} |
| --- |${' --: |'.repeat(machines.length)}
${limitRow('connections', (cores, bytes) => connectionsOf(costs, cores, bytes))}
${limitRow('deliveries of a fan-out a second', (cores) => rateOf(costs.delivery, cores))}
${limitRow('messages one to one a second', (cores) => rateOf(costs.message, cores))}
${limitRow('durable messages a second', (cores) => rateOf(costs.durable, cores))}
${limitRow('commands a second', (cores) => rateOf(costs.command, cores))}
${limitRow('connects over TLS a second', (cores) => rateOf(costs.connect, cores))}

Commits are grouped, so that a sync serves all that came during the last one: how many durable messages
there are a second does not depend on the disk, but each waits for one sync or two, ${milliseconds(1e6 / costs.syncsPerSecond)} each. A single
publisher that waits for every acknowledgement gets ${count(costs.syncsPerSecond / 2)} to ${count(costs.syncsPerSecond)} messages a second through.

## Assumptions

- A core is busy ${CPU_SHARE * 100} % at most; ${MEMORY_SHARE * 100} % of the memory is for Bellhop and its sockets.
- The kernel keeps ${kibibytes(KERNEL_BYTES)} for an idle connection; each phone pings every ${PING_SECONDS} s.
- After a network failed, everybody is to be back within ${RETURN_SECONDS / 60} minutes, with a full handshake each.
- Sockets, protocol and routing are one event loop: a second core takes the storage thread and the kernel's
  work, further ones run handlers. What a command costs beyond two messages is taken for handlers' work.
- File descriptors: a connection takes one, so \`LimitNOFILE\` has to be above the connections.

## Where the next limit lies

${nextLimits(costs)}`;
}

/** The days on which the costs were measured. */
function datesOf(results: Results): string {
  const dates = sourcesOf(results, needed).map(({ date }) => date);
  return [...new Set(dates)].toSorted().join(' and ');
}

function costRow(what: string, { loop, others }: Cost): string {
  return `| ${what} | ${loop.toFixed(1)} µs | ${others === 0 ? '' : `${others.toFixed(1)} µs`} |`;
}

function limitRow(what: string, limitOf: (cores: number, memoryBytes: number) => Limit): string {
  const cells = machines.map(({ cores, memoryBytes }) => {
    const { perSecond, by } = limitOf(cores, memoryBytes);
    return `${rounded(perSecond)}: ${by}`;
  });
  return `| ${what} | ${cells.join(' | ')} |`;
}

function nextLimits(costs: Costs): string {
  return machines
    .map(({ cores, memoryBytes }) => {
      const found = connectionsOf(costs, cores, memoryBytes);
      const durable = rateOf(costs.durable, cores);
      const command = rateOf(costs.command, cores);
      return `- ${cores} cores: connections end with ${found.by}, durable messages with ${durable.by}, commands with ${command.by}.\n`;
    })
    .join('');
}

/** Two digits: a model has no more. */
function rounded(value: number): string {
  return count(Number(Math.max(0, value).toPrecision(2)));
}
