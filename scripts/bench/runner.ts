/** One run: a fresh broker on one core, the generator on another, and their end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broker, Place } from './brokers.ts';
import type { Generator, Times } from './generator.ts';
import type { Figures } from './results.ts';
import type { Scenario } from './scenarios.ts';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const START_MS = 20_000;
const taskset = availableParallelism() > 1 ? Bun.which('taskset') : null;
export const isPinned = taskset !== null;

/** `command` on one core, where that can be said. */
export function pinned(core: number, command: readonly string[]): string[] {
  return taskset === null ? [...command] : [taskset, '-c', String(core), ...command];
}

/** A P-256 certificate for localhost, in `folder`. */
export function makeCertificate(folder: string): Certificate {
  const cert = join(folder, 'bench.crt');
  const key = join(folder, 'bench.key');
  const { exitCode, stderr } = Bun.spawnSync([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...['-nodes', '-days', '30', '-subj', '/CN=localhost', '-keyout', key, '-out', cert],
  ]);
  if (exitCode !== 0) throw new Error(`openssl: ${stderr}`);
  return { cert, key };
}

/** Rejects where the broker does not start or the generator fails; the message says how. */
export async function runOnce(
  scenario: Scenario,
  broker: Broker,
  generator: Generator,
  certificate: Certificate,
  times: Times,
): Promise<Figures> {
  return await withBroker(scenario, broker, certificate, async (place, { pid }) => {
    const port = scenario.tls ? place.tlsPort : place.port;
    const load = generator.command(scenario, broker, port, pid, times);
    for (let warmUps = scenario.warmUps ?? 0; warmUps > 0; warmUps--)
      await runLoad(load, place.folder);
    return generator.read(await runLoad(load, place.folder));
  });
}

/** Runs a generator on core 1 and resolves to what it printed. Rejects where it fails. */
export async function runLoad(
  load: ReturnType<Generator['command']>,
  cwd: string,
): Promise<string> {
  const { PATH = '', HOME = '/' } = process.env;
  const run = Bun.spawn(pinned(1, load.command), {
    cwd,
    env: { PATH, HOME, ...load.env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([run.stdout.text(), run.stderr.text()]);
  // 1 is for losses as well, and those are among the figures.
  if ((await run.exited) > 1 || out.trim() === '') throw new Error(err.trim() || out.trim());
  return out;
}

/** A fresh broker on core 0 while `during` runs. Rejects where it does not start. */
export async function withBroker<T>(
  scenario: Scenario,
  broker: Broker,
  certificate: Certificate,
  during: (place: Place, process: Bun.Subprocess) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'bellhop-bench-'));
  const place = { folder, port: await freePort(), tlsPort: await freePort(), ...certificate };
  const { command, env } = broker.setup(place, scenario);
  const { PATH = '', HOME = '/' } = process.env;
  const child = Bun.spawn(pinned(0, command), {
    cwd: folder,
    env: { PATH, HOME, ...env },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  });
  try {
    await listens(scenario.tls ? place.tlsPort : place.port, child);
    return await during(place, child);
  } finally {
    child.kill('SIGKILL');
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves when something listens there; rejects where `child` ends before. */
export async function listens(port: number, child: Bun.Subprocess): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    try {
      const socket = await Bun.connect({
        ...{ hostname: '127.0.0.1', port },
        socket: { data() {} },
      });
      socket.end();
      return;
    } catch {
      await Bun.sleep(20);
    }
  }
  throw new Error(child.exitCode === null ? 'the broker does not listen' : 'the broker has ended');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
