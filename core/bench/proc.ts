/** What Linux tells about a process under /proc: processor time and resident memory. */
import { readFileSync } from 'node:fs';

/** USER_HZ, the unit of times under /proc, which is 100 on every architecture that Bellhop is built for. */
const TICKS_PER_SECOND = 100;

export interface ProcessSample {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** The sum over `pids`; undefined where one of them cannot be read. */
export function sampleProcesses(pids: readonly number[]): ProcessSample | undefined {
  let cpuSeconds = 0;
  let residentBytes = 0;
  try {
    for (const pid of pids) {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      cpuSeconds += (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      residentBytes += Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024;
    }
  } catch {
    return undefined;
  }
  return { cpuSeconds, residentBytes };
}

/** Processor time of this process, all threads. */
export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
