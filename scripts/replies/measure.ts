/** One run of `replies.ts`: broker and handler fresh on one core, the devices on another, and their end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sampleProcesses } from '../../core/bench/proc.ts';
import type { BenchReport } from '../../core/bench/report.ts';
import { SECRET } from '../bench/brokers.ts';
import type { Certificate } from '../bench/runner.ts';
import { listens, pinned } from '../bench/runner.ts';
import { freePort } from '../load.ts';
import type { Case, Program, SetUp } from './setups.ts';

export interface Figures {
  readonly perSecond: number;
  /** In microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
  /** Processor time for each reply, in microseconds; undefined where it cannot be read, or there is no such process. */
  readonly brokerMicroseconds: number | undefined;
  readonly handlerMicroseconds: number | undefined;
  readonly bottleneck: BenchReport['bottleneck'];
}

export interface Load {
  readonly binary: string;
  readonly devices: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

const { PATH = '', HOME = '/' } = process.env;

/** Rejects where something does not start or the load fails; the message says how. */
export async function measure(
  setUp: SetUp,
  asked: Case,
  load: Load,
  certificate: Certificate,
): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'bellhop-replies-'));
  const children: Bun.Subprocess[] = [];
  try {
    const [port, tlsPort] = [await freePort(), await freePort()];
    const scenario = { id: '', title: '', kind: 'command', options: {} } as const;
    setUp.place(folder, asked);
    const broker = start(
      folder,
      setUp.broker.setup({ folder, port, tlsPort, ...certificate }, scenario),
    );
    children.push(broker);
    void forget(broker.stdout.getReader());
    await listens(port, broker);
    const program = setUp.handler(folder, port, asked);
    const handler = program && start(folder, program);
    if (handler !== undefined) {
      children.push(handler);
      await serves(handler);
    }
    const before = [timeOf(broker), timeOf(handler)] as const;
    const report = await putLoad(setUp, asked, load, port, broker.pid, folder);
    const each = (child: Bun.Subprocess | undefined, from: number | undefined) => {
      const to = timeOf(child);
      if (from === undefined || to === undefined) return undefined;
      return ((to - from) / report.received) * 1e6;
    };
    return {
      perSecond: report.receivedPerSecond,
      p50: report.latency.p50,
      p99: report.latency.p99,
      lost: report.lost,
      brokerMicroseconds: each(broker, before[0]),
      handlerMicroseconds: each(handler, before[1]),
      bottleneck: report.bottleneck,
    };
  } finally {
    for (const child of children.toReversed()) {
      child.kill('SIGKILL');
      await child.exited;
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

function start(folder: string, { command, env }: Program) {
  return Bun.spawn(pinned(0, command), {
    cwd: folder,
    env: { PATH, HOME, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
  });
}

/** Resolves when the process prints that it serves; what it prints from then on is read and forgotten. */
async function serves(child: ReturnType<typeof start>): Promise<void> {
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let said = '';
  while (!said.includes('serving')) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the handler has ended: ${said.trim().split('\n').at(-1)}`);
    said += decoder.decode(value, { stream: true });
  }
  void forget(reader);
}

async function forget(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}

async function putLoad(
  { broker }: SetUp,
  { qos }: Case,
  load: Load,
  port: number,
  brokerPid: number,
  folder: string,
): Promise<BenchReport> {
  const command = [
    ...[load.binary, 'bench', 'command', '--no-handler', '--json', '--mqtt-version', '3.1.1'],
    ...['--broker', `mqtt://127.0.0.1:${port}`, '--broker-pid', String(brokerPid)],
    ...['--publishers', String(load.devices), '--qos', String(qos), '--settle', '200ms'],
    ...['--duration', `${load.seconds}s`, '--warm-up', `${load.warmUpSeconds}s`],
    ...(broker.hasTokens ? [] : ['--anonymous']),
  ];
  const run = Bun.spawn(pinned(1, command), {
    cwd: folder,
    env: { PATH, HOME, JWT_SECRET: SECRET },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([run.stdout.text(), run.stderr.text()]);
  // 1 is for losses as well, and those are among the figures.
  if ((await run.exited) > 1 || out.trim() === '') throw new Error(err.trim() || out.trim());
  return JSON.parse(out) as BenchReport;
}

function timeOf(child: Bun.Subprocess | undefined): number | undefined {
  return child && sampleProcesses([child.pid])?.cpuSeconds;
}
