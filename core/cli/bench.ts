/** `bellhop bench`: puts load on an MQTT broker, and tells what it took. */

import { lead, NOTHING_MEASURED, type Watch } from '../bench/leader.ts';
import { LocalMember, type Member } from '../bench/member.ts';
import {
  type BenchOptions,
  defaults,
  fanOutWindow,
  type Scenario,
  scenarios,
} from '../bench/options.ts';
import { sampleProcesses } from '../bench/proc.ts';
import { RemoteMember, serveMember } from '../bench/remote-member.ts';
import { isSound } from '../bench/report.ts';
import { reportText } from '../bench/report-text.ts';
import { STAMP_BYTES } from '../bench/stamp.ts';
import { StartError } from '../ops/lifecycle.ts';
import type { Config } from '../ops/settings.ts';
import { descriptorLimit } from '../store/descriptors.ts';
import { type Arguments, type Command, UsageError } from './arguments.ts';
import { linesOf, progressLine, readShare, spawnMembers } from './bench-processes.ts';
import { readSurroundings, targetOptions } from './bench-target.ts';
import { readQos } from './client.ts';
import { readConfiguration } from './configured.ts';

/** The exit code after Ctrl-C. */
const INTERRUPTED = 130;
/** File descriptors that a process takes beside its connections, with room to spare. */
const OWN_DESCRIPTORS = 32;

export const bench: Command = {
  usage: `${scenarios.join('|')} [options]`,
  operands: ['scenario'],
  about: `Puts load on a broker and prints what came of it: messages a second, latencies, losses, and whether
the load test was itself the bottleneck. What it does by default:

  fan-out    one handler publishes to 100 devices
  fan-in     50 devices publish a command to one handler
  pairs      50 handlers publish to a device each
  command    200 devices send a command and wait for the reply
  headline   20 handlers publish to 50,000 subscriptions of 15,000 devices, 5,000 messages a second
  storm      10,000 devices connect
  idle       10,000 devices connect, subscribe, get a message and are silent

Each connection shows a token of its own, minted with the secret of this machine (JWT_SECRET), unless
--anonymous or --username says otherwise. Without --rate, publishers send as fast as their messages
arrive; then the latency is mostly that of what is under way. With --rate it counts from the time at
which a message was due. It ends with 1 where connections broke, or messages of QoS 1 or 2 were
lost, or came twice or in another order. Ctrl-C ends it early, and tells what was measured until then.

A broker on another machine is under attack by this: name one that is yours, and say --yes.`,
  options: {
    ...targetOptions,
    'mqtt-version': { value: 'version', text: '3.1.1 or 5; 5 if not given' },
    qos: { value: '0|1|2', text: 'Quality of Service; 0 if not given' },
    payload: { value: 'bytes', text: `size of each payload, ${STAMP_BYTES} or more` },
    rate: { value: 'number|max', text: 'messages a second; storm: connections a second' },
    window: { value: 'number', text: 'messages of a publisher that are under way, without a rate' },
    publishers: { value: 'number', text: 'who publish; for command, the devices' },
    subscribers: { value: 'number', text: 'who subscribe' },
    pairs: { value: 'number', text: 'publishers, with as many subscribers' },
    connections: { value: 'number', text: 'further connections, which only hold subscriptions' },
    subscriptions: { value: 'number', text: 'subscriptions of those, all together' },
    levels: { value: 'number', text: 'levels of each topic; 1 if not given' },
    'no-handler': {
      value: undefined,
      text: 'command: the broker has a handler that echoes payloads',
    },
    command: { value: 'topic', text: 'Topic Name of commands; bench_command if not given' },
    reply: { value: 'name', text: 'name of the user topic for replies; bench_reply if not given' },
    user: { value: 'template', text: 'user ids, %d being a number; bench-%d if not given' },
    stored: {
      value: undefined,
      text: 'sessions of subscribers are stored; with 3.1.1 they stay behind',
    },
    absent: {
      value: undefined,
      text: 'with --stored: subscribers go before the load begins, and leave their sessions',
    },
    duration: { value: 'time', text: 'how long to measure, such as 10s; 10s if not given' },
    'warm-up': { value: 'time', text: 'load before that; 2s if not given' },
    settle: { value: 'time', text: 'pause after connecting; 0s if not given' },
    drain: {
      value: 'time',
      text: 'longest wait for what is under way at the end; 10s if not given',
    },
    'keep-alive': { value: 'time', text: 'Keep Alive; 300s if not given' },
    processes: { value: 'number', text: 'processes that share the load; 1 if not given' },
    share: {
      value: 'k/n',
      text: 'carry only the k-th of n parts, led over stdin: for --processes',
    },
    'broker-pid': {
      value: 'pid',
      text: 'a process of the broker, on this machine: shows its memory and time',
      several: true,
    },
    json: { value: undefined, text: 'print the figures as one JSON object' },
  },
  async run(given) {
    const { config } = readConfiguration(given);
    const options = readOptions(given, config);
    const share = readShare(given.get('share'));
    const connectRate = options.scenario === 'storm' ? options.rate : undefined;
    const surroundings = await readSurroundings(given, config, share?.run, connectRate);
    if (share !== undefined) {
      const member = new LocalMember(options, share, surroundings);
      // Ctrl-C reaches the process that leads as well: it asks for the figures, and ends this one then.
      process.once('SIGINT', () => {
        if (!member.hasBegun) process.exit(INTERRUPTED);
      });
      await serveMember(member, linesOf(Bun.stdin.stream()), (line) => process.stdout.write(line));
      return 0;
    }
    return await runAll(given, options, (processes) =>
      processes === 1
        ? [new LocalMember(options, { index: 0, count: 1 }, surroundings)]
        : spawnMembers(processes, surroundings.run).map((pipe) => new RemoteMember(pipe)),
    );
  },
};

async function runAll(
  given: Arguments,
  options: BenchOptions,
  membersOf: (processes: number) => Member[],
): Promise<number> {
  const processes = given.count('processes') ?? 1;
  const line = progressLine();
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort()); // a second one ends the process
  const watch: Watch = {
    brokerPids: given.all('broker-pid').map(readPid),
    settleSeconds: readSeconds(given, 'settle', 0),
    stopped: stop.signal,
    progress: line.show,
  };
  try {
    const report = await lead(membersOf(processes), options, watch);
    line.clear();
    process.stdout.write(given.has('json') ? `${JSON.stringify(report)}\n` : reportText(report));
    if (stop.signal.aborted) return INTERRUPTED;
    return isSound(report) ? 0 : 1;
  } catch (error) {
    line.clear();
    if (!stop.signal.aborted) throw new StartError((error as Error).message);
    // Whatever else it says comes of that, such as that another process has ended.
    process.stderr.write(`bellhop: ${NOTHING_MEASURED}\n`);
    return INTERRUPTED;
  }
}

function readOptions(given: Arguments, config: Config): BenchOptions {
  const written = given.needOperand('scenario');
  const scenario = scenarios.find((each) => each === written);
  if (scenario === undefined) {
    throw new UsageError(
      `there is no scenario ${JSON.stringify(written)}: ${scenarios.join(', ')}`,
    );
  }
  checkWho(given, scenario);
  const processes = given.count('processes') ?? 1;
  const usual = defaults[scenario];
  const pairs = given.count('pairs');
  const subscribers = given.count('subscribers') ?? pairs ?? usual.subscribers;
  const connections = given.count('connections') ?? usual.connections;
  const usualWindow = scenario === 'fan-out' ? fanOutWindow(subscribers) : usual.window;
  const options: BenchOptions = {
    scenario,
    version: given.choice('mqtt-version', ['3.1.1', '5', '5.0'], '5') === '3.1.1' ? 4 : 5,
    qos: given.has('qos') ? readQos(given) : 0,
    payloadBytes: given.count('payload') ?? usual.payloadBytes,
    rate: readRate(given, usual.rate),
    window: given.count('window') ?? usualWindow,
    publishers:
      scenario === 'idle' ? processes : (given.count('publishers') ?? pairs ?? usual.publishers),
    subscribers,
    connections,
    subscriptions:
      given.count('subscriptions') ?? Math.round(connections * usual.subscriptionsEach),
    handler: !given.has('no-handler'),
    levels: given.count('levels') ?? 1,
    command: given.get('command') ?? 'bench_command',
    reply: given.get('reply') ?? 'bench_reply',
    userTemplate: given.get('user') ?? 'bench-%d',
    separator: config.userTopicSeparator,
    stored: given.has('stored'),
    absent: given.has('absent'),
    keepAliveSeconds: Math.ceil(readSeconds(given, 'keep-alive', 300)),
    warmUpSeconds: readSeconds(given, 'warm-up', 2),
    durationSeconds: readSeconds(given, 'duration', 10),
    drainSeconds: readSeconds(given, 'drain', 10),
  };
  checkOptions(options);
  checkProcesses(options, processes);
  checkDescriptors(options, processes);
  return options;
}

/** Who a scenario has, so that a number of others is no wish that goes unheard. */
const whoTakesPart: Readonly<Record<Scenario, readonly string[]>> = {
  'fan-out': ['publishers', 'subscribers'],
  'fan-in': ['publishers', 'subscribers'],
  pairs: ['publishers', 'subscribers', 'pairs'],
  command: ['publishers'],
  headline: ['publishers', 'connections', 'subscriptions'],
  storm: ['connections', 'subscriptions'],
  idle: ['connections', 'subscriptions'],
};

function checkWho(given: Arguments, scenario: Scenario): void {
  for (const option of ['publishers', 'subscribers', 'pairs']) {
    if (given.has(option) && !whoTakesPart[scenario].includes(option)) {
      const known = whoTakesPart[scenario].map((each) => `--${each}`).join(' and ');
      throw new UsageError(`${scenario} takes no --${option}: it has ${known}`);
    }
  }
}

/** Whether the load can be shared by so many processes. */
function checkProcesses(options: BenchOptions, processes: number): void {
  const { scenario, rate, qos, publishers } = options;
  if (processes === 1) return;
  if (scenario === 'fan-in' && rate === undefined && qos === 0) {
    throw new UsageError(
      'fan-in at QoS 0 as fast as it goes needs publishers and subscriber in one process: name a --rate',
    );
  }
  if (scenario === 'headline' && publishers < processes) {
    throw new UsageError('headline has as many --publishers as --processes, or more');
  }
}

/** Each connection takes a descriptor, and where there is none left the error says nothing of that. */
function checkDescriptors(options: BenchOptions, processes: number): void {
  const { publishers, subscribers, connections } = options;
  const each = Math.ceil((publishers + subscribers + connections) / processes);
  const limit = descriptorLimit();
  if (limit === undefined || each + OWN_DESCRIPTORS <= limit) return;
  throw new StartError(
    `${each} connections are more than the ${limit} file descriptors of a process allow: raise \`ulimit -n\`, or share them with --processes`,
  );
}

function checkOptions(options: BenchOptions): void {
  const { payloadBytes, userTemplate, scenario, publishers, subscribers } = options;
  const { connections, subscriptions, absent, stored, qos } = options;
  if (options.durationSeconds === 0) throw new UsageError('--duration is 0, but must be longer');
  if (payloadBytes < STAMP_BYTES) {
    throw new UsageError(`--payload is ${payloadBytes}, but must be ${STAMP_BYTES} or more`);
  }
  if (!userTemplate.includes('%d')) {
    throw new UsageError(`--user is ${JSON.stringify(userTemplate)}, but must hold %d`);
  }
  if (scenario === 'pairs' && publishers !== subscribers) {
    throw new UsageError('pairs have as many publishers as subscribers: use --pairs');
  }
  if (subscriptions > 0 && connections === 0) {
    throw new UsageError('--subscriptions need --connections that hold them');
  }
  if (absent && (!stored || qos === 0 || !['fan-out', 'fan-in', 'pairs'].includes(scenario))) {
    throw new UsageError(
      '--absent goes with --stored and --qos 1 or 2, in fan-out, fan-in and pairs',
    );
  }
  const publishesToHolders = scenario === 'headline' || scenario === 'idle';
  if (publishesToHolders && subscriptions === 0) {
    throw new UsageError(`${scenario} needs --subscriptions`);
  }
}

function readRate(given: Arguments, usual: number | undefined): number | undefined {
  const written = given.get('rate');
  if (written === undefined) return usual;
  return written === 'max' ? undefined : given.count('rate');
}

function readPid(written: string): number {
  if (/^[1-9]\d{0,9}$/.test(written) && sampleProcesses([Number(written)]) !== undefined) {
    return Number(written);
  }
  throw new UsageError(
    `--broker-pid is ${JSON.stringify(written)}, but must be a process that /proc shows`,
  );
}

const unitSeconds = { ms: 0.001, s: 1, m: 60, h: 3_600 } as const;

function readSeconds(given: Arguments, option: string, usual: number): number {
  const written = given.get(option);
  if (written === undefined) return usual;
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(written);
  if (match !== null) return Number(match[1]) * unitSeconds[match[2] as keyof typeof unitSeconds];
  throw new UsageError(
    `--${option} is ${JSON.stringify(written)}, but must be a time such as 500ms, 10s or 30m`,
  );
}
