/** A history without end, of which any turn can be told by its number, which is its sequence too. */
import type { Change } from '../../core/broker/changes.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { content, queued, session } from './changes.ts';

const SESSIONS = 7;
/** A delivery is sent, then done, so many turns after it was queued. */
const SENT_AFTER = 3;
const DONE_AFTER = 90;

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
  return changes;
}
