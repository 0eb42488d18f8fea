/** Where the figures of docs/performance.md come from: one call of the bench, or several with a letter each. */
import { gibibytes } from './format.ts';
import { type Machine, type Results, type Source, sourcesOf } from './results.ts';

export function introduction(results: Results): string {
  const { sources, isQuick } = results;
  const warning = isQuick
    ? '**A quick run, with small amounts: to see that it works, not to be quoted.**\n\n'
    : '';
  const kept = `${warning}Printed from [results.json](performance/results.json)`;
  const [first, ...others] = sources;
  if (first === undefined) return `${kept}, which has no figures.\n`;
  if (others.length === 0) {
    return `${kept}, which ${callText(first)},
on ${machineText(first.machine)}.
${versionsText(first)}.
`;
  }
  const isOneMachine = new Set(sources.map(({ machine }) => machineText(machine))).size === 1;
  const isOneVersion = new Set(sources.map(versionsText)).size === 1;
  const lines = sources.map((source, at) => {
    const machine = isOneMachine ? '' : `; on ${machineText(source.machine)}`;
    const versions = isOneVersion ? '' : `; ${versionsText(source)}`;
    return `- **${letter(at)}**: ${callText(source)}${machine}${versions}\n`;
  });
  return `${kept}. Its figures are from several calls, and each says from which:

${lines.join('')}${isOneMachine ? `\nAll on ${machineText(first.machine)}.\n` : ''}${isOneVersion ? `\n${versionsText(first)}.\n` : ''}`;
}

/** What idle connections have done, as a sentence; '' where none were measured. */
export function idleText(results: Results): string {
  const found = sourcesOf(results, ['idle-tcp', 'idle-tls']).map(({ idle }) => idle);
  return found.length === 0
    ? ''
    : `Before their memory is\nread there is ${[...new Set(found)].join(', or ')}. `;
}

/** The letters of the sources of these scenarios, to be put behind figures; '' where there is but one source. */
export function fromText(results: Results, scenarios: readonly string[]): string {
  const { sources } = results;
  if (sources.length < 2) return '';
  const letters = sourcesOf(results, scenarios).map((each) => letter(sources.indexOf(each)));
  return letters.map((each) => `**${each}**`).join(', ');
}

function letter(at: number): string {
  return at < 26
    ? String.fromCharCode(97 + at)
    : `${letter(Math.floor(at / 26) - 1)}${letter(at % 26)}`;
}

function callText({ commandLine, date, rounds, generator }: Source): string {
  const medians = `medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`;
  return `\`${commandLine}\` made on ${date}, ${medians}, load from \`${generator}\``;
}

/** Processor, memory, system and who runs where, as part of a sentence. */
export function machineText({ processor, cores, memoryBytes, system, isPinned }: Machine): string {
  const pinned = isPinned
    ? 'the broker pinned to one core and the generator to another'
    : 'nobody pinned to a core';
  return `${processor}, ${cores} cores, ${gibibytes(memoryBytes)}, ${system}, ${pinned}`;
}

function versionsText({ versions }: Source): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join('; ');
}
