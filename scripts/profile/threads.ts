/** The processor time of each thread of a process, as Linux tells it. */
import { readdirSync, readFileSync } from 'node:fs';

/** What threads are there for, by what they are called; whoever is not named here is the loop. */
const purposes: readonly (readonly [RegExp, string])[] = [
  [/^JITWorker/, 'compiling'],
  [/^(JSCWarmUp|.*ollector Thread|HeapHelper)/, 'collecting garbage'],
  [/^mi-scavenger/, 'giving memory back'],
  [/^Worker/, 'handlers and storage'],
  [/^Bun Pool/, 'cryptography'],
];

/** Ticks by purpose. */
export function ticksByPurpose(pid: number): Map<string, number> {
  const ticks = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    const name = stat.slice(stat.indexOf('(') + 1, end);
    const [user, system] = stat
      .slice(end + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number);
    const purpose = purposes.find(([pattern]) => pattern.test(name))?.[1] ?? 'the loop';
    ticks.set(purpose, (ticks.get(purpose) ?? 0) + (user ?? 0) + (system ?? 0));
  }
  return ticks;
}

/** What was added from `before` to `after`, as shares of the whole, the largest first. */
export function sharesBetween(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): { name: string; share: number }[] {
  const added = [...after].map(([name, ticks]) => ({
    name,
    ticks: ticks - (before.get(name) ?? 0),
  }));
  const whole = added.reduce((sum, { ticks }) => sum + ticks, 0);
  return added
    .filter(({ ticks }) => ticks > 0)
    .map(({ name, ticks }) => ({ name, share: ticks / whole }))
    .sort((a, b) => b.share - a.share);
}
