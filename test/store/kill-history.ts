/** A history without end, of which any turn can be told by its number, which is its sequence too. */
import type { Change } from '../../core/broker/changes.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { command, content, dead, queued, session } from './changes.ts';

const SESSIONS = 7;
/** A delivery is sent, then done, so many turns after it was queued. */
const SENT_AFTER = 3;
const DONE_AFTER = 90;
/** Letters have numbers of their own, and are dropped so many turns after their command was given up. */
const LETTERS = 1_000_000_000;
const DROPPED_AFTER = 40;

export function turnOf(turn: number): Change[] {
  const changes: Change[] = [];
  if (turn <= SESSIONS) changes.push(session(turn));
  const holder = (sequence: number) => 1 + ((sequence - 1) % Math.min(SESSIONS, sequence));
  const topic = `topic/${turn % 11}` as TopicName;
  const payload = new Uint8Array(turn % 3_000).fill(turn);
  changes.push({ kind: 'message', message: turn, content: { ...content, topic, payload } });
  changes.push(queued(holder(turn), turn, turn));
  if (turn % 5 === 0) changes.push({ kind: 'retained', topic, message: turn });
  const sent = turn - SENT_AFTER;
  if (sent > 0) {
    const packetIdentifier = 1 + (sent % 65_535);
    changes.push({ kind: 'sent', session: holder(sent), sequence: sent, packetIdentifier });
  }
  const done = turn - DONE_AFTER;
  if (done > 0) changes.push({ kind: 'done', session: holder(done), sequence: done });
  changes.push(...commandChanges(turn));
  return changes;
}

/** Every third turn has a command: tried in the next, done by one handler and given up by another a few later. */
function commandChanges(turn: number): Change[] {
  const changes: Change[] = [];
  if (turn % 3 === 0) changes.push(command(turn, turn % 2 === 0 ? 'a' : undefined));
  const tried = turn - 1;
  if (tried > 0 && tried % 3 === 0) {
    changes.push({ kind: 'command-tried', message: tried, handler: 'a', attempts: 1 + (turn % 9) });
  }
  const given = turn - 9;
  if (given > 0 && given % 3 === 0) {
    if (given % 2 === 0) {
      changes.push({ kind: 'command-part-done', message: given, handler: 'b' });
    } else {
      changes.push(dead(LETTERS + given, given), { kind: 'command-done', message: given });
    }
  }
  const over = turn - 9 - DROPPED_AFTER;
  if (over > 0 && over % 3 === 0) {
    if (over % 2 === 0) changes.push({ kind: 'command-done', message: over });
    else changes.push({ kind: 'dead-dropped', number: LETTERS + over });
  }
  return changes;
}
