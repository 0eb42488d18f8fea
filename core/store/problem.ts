/**
 * What can be wrong with the broker's file: why a start is refused, and why storing does not go on
 * for now. Both are said so that whoever runs the broker knows what to do.
 */
import { SQLiteError } from 'bun:sqlite';

/** The data folder cannot be used as it is. The message names file and remedy, ready to be shown. */
export class StorageRefused extends Error {}

/** Whether what is kept reaches the disk now. */
export type StorageStatus =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** For the log and `/ready`: `the disk is full`. */
      readonly reason: string;
      /** SQLite's own, such as SQLITE_FULL, or FILE_REMOVED or THREAD_LOST. */
      readonly code: string;
    };

/** The file was removed or replaced under us: what is committed to it is lost with the last handle. */
export class FileRemoved extends Error {}

/** Plain words for what SQLite or the system threw. */
export function describeProblem(thrown: unknown): { reason: string; code: string } {
  if (thrown instanceof FileRemoved) return { reason: thrown.message, code: 'FILE_REMOVED' };
  const code = thrown instanceof SQLiteError ? (thrown.code ?? 'SQLITE_ERROR') : 'UNKNOWN';
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { reason: words(code) ?? message, code };
}

function words(code: string): string | undefined {
  if (code === 'SQLITE_FULL') return 'the disk is full';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return 'the file is locked by another process';
  if (code.startsWith('SQLITE_READONLY')) return 'the file or its folder is read-only';
  if (code.startsWith('SQLITE_CANTOPEN')) return 'the file cannot be opened';
  if (code.startsWith('SQLITE_IOERR')) return `the disk fails (${code})`;
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return 'the file is damaged';
  return undefined;
}

export function isBusy(thrown: unknown): boolean {
  return thrown instanceof SQLiteError && (thrown.code ?? '').startsWith('SQLITE_BUSY');
}
