/** One run of a handler for a test: the same `Run` that workers use, and what it left told in plain values. */
import { DeclaredCommands } from '../auth/commands.ts';
import { readUserTopic } from '../auth/user-topic.ts';
import type { Message } from '../mqtt/packet.ts';
import type { TopicFilter } from '../mqtt/topic.ts';
import type { Context, SendOptions } from './context.ts';
import type { Handler } from './definition.ts';
import type { LogLine } from './exchange.ts';
import type { Given, Logged, Published, Sent, TestRun } from './kit.ts';
import { decodePayload } from './payload.ts';
import { Run } from './run.ts';
import { messageFor, SEPARATOR } from './test-message.ts';
import { FileStore, openTestStore } from './test-store.ts';

export async function runForTest(handler: Handler, given: Given): Promise<TestRun> {
  void [
    handler,
    given,
    DeclaredCommands,
    readUserTopic,
    decodePayload,
    Run,
    messageFor,
    SEPARATOR,
    FileStore,
    openTestStore,
  ];
  throw new Error('not yet');
}
type _ = [Message, TopicFilter, Context<never>, SendOptions, LogLine, Logged, Published, Sent];
