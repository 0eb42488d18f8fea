/**
 * File descriptors, of which a process has a limited number, and each connection takes one. A thread
 * that finds none for its event loop ends the whole process in Bun 1.4.5, so nobody makes one without
 * asking here, and connections leave some for the rest.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';

/** What a thread takes while it starts, with room to spare. */
const FOR_A_THREAD = 32;

/** Whether there is room for another thread now. */
export function hasDescriptorsForThread(): boolean {
  const opened: number[] = [];
  try {
    while (opened.length < FOR_A_THREAD) opened.push(openSync('/dev/null', 'r'));
    return true;
  } catch {
    return false;
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

/** How many this process may have; undefined where the system does not say. */
export function descriptorLimit(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
