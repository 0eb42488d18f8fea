/**
 * A log record as text: one JSON object a line for machines, or a coloured line for people. Whatever a
 * client put into a topic or an id stays inside its line and its quotes: control characters of every
 * kind, those that make terminals act and those that turn text around, are written as escapes.
 */
import type { Level, LogRecord } from './log.ts';

/** C0 and C1 controls, DEL, line and paragraph separators, and the bidirectional controls. */
const unsafe = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/gu;

/** `text` with every such character as `\\u001b`. */
export function escapeControls(text: string): string {
  return text.replace(
    unsafe,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function formatJson(record: LogRecord): string {
  const { timeMs, level, message, fields } = record;
  const line = { time: new Date(timeMs).toISOString(), level, message, ...fields };
  return `${escapeControls(JSON.stringify(line))}\n`;
}

const colours: Record<Level, string> = {
  debug: '\u001b[2m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};
const dim = '\u001b[2m';
const plain = '\u001b[0m';

export function formatPretty(record: LogRecord, colour: boolean): string {
  const { timeMs, level, message, fields } = record;
  const paint = (code: string, text: string) => (colour ? `${code}${text}${plain}` : text);
  const { stack, ...others } = fields;
  const pairs = Object.entries(others).map(
    ([name, value]) => `${paint(dim, `${prettyValue(name)}=`)}${prettyValue(value)}`,
  );
  const time = new Date(timeMs).toISOString().slice(11, 23);
  const head = `${paint(dim, time)} ${paint(colours[level], level.padEnd(5))} ${escapeControls(message)}`;
  const trace =
    typeof stack === 'string'
      ? stack
          .split('\n')
          .map((line) => `\n    ${escapeControls(line.trim())}`)
          .join('')
      : '';
  return `${[head, ...pairs].join(' ')}${trace}\n`;
}

function prettyValue(value: unknown): string {
  const text = String(value);
  return /^[\w.,:/|@$%*+#-]+$/.test(text) ? text : escapeControls(JSON.stringify(text));
}
