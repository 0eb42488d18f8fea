/**
 * Where the time goes: puts the load of scenarios of `bun run bench` on a broker from the sources, and prints
 * what its threads take and which functions of the loop take most.
 *
 *     bun scripts/profile.ts command-plugin storm-tcp     prints
 *     bun scripts/profile.ts --write                      those of the targets that are out of reach, into
 *                                                         docs/performance/profiles.md
 *
 * The load comes from dist/bellhop. Linux only: threads are told by /proc.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toldVariables } from '../core/ops/allocator.ts';
import { type Broker, bellhop } from './bench/brokers.ts';
import { fullTimes, ownGenerator } from './bench/generator.ts';
import { describeMachine } from './bench/machine.ts';
import { machineText } from './bench/page-sources.ts';
import { makeCertificate, runLoad, withBroker } from './bench/runner.ts';
import { fullSizes, type Scenario, singlesOf, tableOf } from './bench/scenarios.ts';
import { giveUp, optionsOf } from './options.ts';
import { type CpuProfile, ownTimes, type Share } from './profile/cpu-profile.ts';
import { sharesBetween, ticksByPurpose } from './profile/threads.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const binary = join(root, 'dist', 'bellhop');
const page = join(root, 'docs', 'performance', 'profiles.md');
/** Microseconds between two samples. */
const INTERVAL = 300;
const FUNCTIONS = 12;
/** Loads before the one whose threads are told. */
const WARM_UPS = 2;

/** Scenarios whose goals are out of reach, or were for long, and what is to be read from their profiles. */
const outOfReach: { readonly [scenario: string]: string } = {
  'command-plugin': `\`write\` is the system call for each reply, to another socket each. \`postMessage\` hands a batch of
commands to the handlers' thread, which on one core runs at once: its time is in there. What is left is
spread over many small steps of a command's way: waiting in the order of its user, packed, unpacked, concluded.`,
  'storm-tcp': `\`verify\` is the way to WebCrypto's thread and back; with what jose reads around it, it is the largest
part: see [decision 0033](../decisions/0033-connects-are-as-fast-as-the-library-that-checks-tokens.md).
mqtt-packet reads each CONNECT. \`terminate\` cuts those that ended before: a storm leaves as it came.`,
  'storm-tls': `The handshake is in the runtime and no function of ours. The rest is what a connection costs over TCP.`,
  'headline-rate': `\`write\` is the system call for each message, to another of all sockets each: at this rate hardly two
messages share a turn. The threads that collect garbage and give memory back share the one core, and
whoever comes while they run waits: that is the p99.`,
};

interface Profile {
  readonly scenario: Scenario;
  readonly threads: readonly Share[];
  readonly functions: readonly Share[];
}

async function profile(scenario: Scenario): Promise<Profile> {
  const folder = mkdtempSync(join(tmpdir(), 'bellhop-profile-'));
  try {
    const certificate = makeCertificate(folder);
    const threads = await withBroker(
      scenario,
      profiled(folder),
      certificate,
      async (place, child) => {
        const { pid } = child;
        const port = scenario.tls ? place.tlsPort : place.port;
        const load = ownGenerator(binary).command(scenario, profiled(folder), port, pid, fullTimes);
        for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) await runLoad(load, place.folder);
        const before = ticksByPurpose(pid);
        await runLoad(load, place.folder);
        const shares = sharesBetween(before, ticksByPurpose(pid));
        child.kill('SIGTERM'); // it writes the profile as it ends
        await child.exited;
        return shares;
      },
    );
    const [file] = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
    if (file === undefined) throw new Error('the broker has left no profile');
    const found = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
    return { scenario, threads, functions: ownTimes(found).slice(0, FUNCTIONS) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Bellhop from the sources, under the profiler of the runtime. */
function profiled(folder: string): Broker {
  const broker = bellhop(binary);
  const profiler = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${INTERVAL}`];
  return {
    ...broker,
    setup(place, scenario) {
      const { env } = broker.setup(place, scenario);
      const command = [process.execPath, ...profiler, join(root, 'index.ts'), 'serve'];
      return { command, env: { ...env, ...toldVariables } };
    },
  };
}

function section({ scenario, threads, functions }: Profile): string {
  const share = (value: number) => `${(100 * value).toFixed(0)} %`;
  const prose = outOfReach[scenario.id];
  return `## ${scenario.title}

Threads: ${threads.map((each) => `${each.name} ${share(each.share)}`).join(', ')}.

| function of the loop | own time |
| --- | --: |
${functions.map((each) => `| \`${each.name}\` | ${share(each.share)} |`).join('\n')}
${prose === undefined ? '' : `\n${prose}\n`}`;
}

const { values, positionals } = optionsOf({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
});
const known = [...tableOf(fullSizes), ...singlesOf(fullSizes)];
const wanted = positionals.length > 0 ? positionals : Object.keys(outOfReach);
const sections: string[] = [];
for (const id of wanted) {
  const scenario = known.find((each) => each.id === id);
  if (scenario === undefined) {
    giveUp(`there is no scenario ${id}; choose from ${known.map((each) => each.id).join(', ')}`);
  }
  const text = section(await profile(scenario));
  sections.push(text);
  console.log(text);
}
if (values.write) {
  writeFileSync(
    page,
    `# Where the time goes

Printed by \`bun scripts/profile.ts --write\` on ${new Date().toISOString().slice(0, 10)}, on ${machineText(describeMachine())}.
These are the scenarios of docs/performance.md whose goals are out of reach, or were for long. The
profiler itself slows the broker: read shares, not speeds. The runtime does not tell waiting apart: it
counts for whatever ran last, as \`stat\` of the certificates and \`verify\` do.

${sections.join('\n')}`,
  );
}
