/**
 * Commands that wait on disk, read a piece at a time when the plugins have room: packed by the storage
 * thread, and read back on the event loop's side.
 */
import type { Database, Statement } from 'bun:sqlite';
import type { CommandPart, MessageNumber, StoredCommand } from '../broker/changes.ts';
import { unpackMessage } from './message-form.ts';
import { Packer, Unpacker } from './packed.ts';

export interface CommandRequest {
  /** Those behind it are read, in their order. */
  readonly after: MessageNumber;
  /** Most commands, and about most bytes of them; one is given whatever its size. */
  readonly limit: number;
  readonly bytes: number;
}

export class CommandReader {
  readonly #sizes: Statement;
  readonly #command: Statement;
  readonly #parts: Statement;

  constructor(database: Database) {
    this.#sizes = database.query(
      `select command.message, size from command join message on number = command.message
        where command.message > ? order by command.message limit ?`,
    );
    this.#command = database.query(
      `select topic, head, payload, only_handler from command
        join message on number = command.message where command.message = ?`,
    );
    this.#parts = database.query(
      'select handler, attempts, done from command_part where message = ? order by handler',
    );
  }

  read({ after, limit, bytes }: CommandRequest): { commands: Packer; more: boolean } {
    const commands = new Packer();
    let count = 0;
    let size = 0;
    for (const row of this.#sizes.values(after, limit + 1)) {
      const [message, rowSize] = row as [MessageNumber, number];
      if (count > 0 && (count === limit || size + rowSize > bytes)) return { commands, more: true };
      this.#pack(message, commands);
      count++;
      size += rowSize;
    }
    return { commands, more: false };
  }

  #pack(message: MessageNumber, into: Packer): void {
    const [row] = this.#command.values(message);
    const [topic, head, payload, only] = row as [string, Uint8Array, Uint8Array, string | null];
    const parts = this.#parts.values(message) as [string, number, number][];
    into.number(message);
    into.byte(only === null ? 0 : 1);
    into.text(only ?? '');
    into.text(topic);
    into.data(head);
    into.data(payload);
    into.size(parts.length);
    for (const [handler, attempts, done] of parts) {
      into.text(handler);
      into.size(attempts);
      into.byte(done);
    }
  }
}

/** Reads what a `CommandReader` packed. Payloads are copied: one that is kept does not keep the rest. */
export function unpackCommands(packed: Uint8Array): StoredCommand[] {
  const from = new Unpacker(packed);
  const commands: StoredCommand[] = [];
  while (!from.done) {
    const message = from.number();
    const hasOnly = from.byte() === 1;
    const only = from.text();
    const content = unpackMessage(from.text(), from.data(), new Uint8Array(from.data()));
    const parts: CommandPart[] = [];
    for (let left = from.size(); left > 0; left--) {
      parts.push({ handler: from.text(), attempts: from.size(), done: from.byte() === 1 });
    }
    commands.push({ message, content, state: { only: hasOnly ? only : undefined, parts } });
  }
  return commands;
}
