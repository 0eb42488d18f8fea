/**
 * Dead letters as they are printed. What stands in them came from handlers and devices: it reaches a
 * terminal with nothing in it that a terminal would act on.
 */
import type { LetterSummary, StoredLetter } from '../store/dead-letters.ts';

/** Columns of an error in the table; all of it is in `show`. */
const LONGEST_CELL = 100;
/** Bytes of a payload that `show` prints; all of it is in its JSON. */
const LONGEST_PAYLOAD = 16 * 1024;

export function letterTable(letters: readonly LetterSummary[]): string {
  const rows = letters.map((letter) => [
    String(letter.number),
    timeOf(letter.diedAtMs),
    letter.handler || '-',
    String(letter.attempts),
    letter.user,
    letter.topic,
    errorOf(letter),
  ]);
  const table = [['NUMBER', 'DIED', 'HANDLER', 'ATTEMPTS', 'USER', 'TOPIC', 'ERROR'], ...rows].map(
    (row) => row.map((cell) => shortened(onOneLine(cell))),
  );
  const widths = table[0]?.map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? '').length)),
  );
  return table
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths?.[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

export function letterText(letter: StoredLetter): string {
  const { content, stack } = letter;
  const { publisher, properties, payload } = content;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['number', String(letter.number)],
    ['handler', letter.handler],
    ['error', `${letter.kind}: ${letter.detail}`],
    ['at', letter.at],
    ['attempts', String(letter.attempts)],
    ['died', timeOf(letter.diedAtMs)],
    ['invocation', letter.invocation],
    ['topic', content.topic],
    ['qos', String(content.qos)],
    ['user', publisher.user],
    ['client', publisher.clientIdentifier],
    ['content type', properties?.contentType],
    ['response topic', properties?.responseTopic],
  ];
  const lines = facts.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [`${name.padEnd(14)}  ${onOneLine(value)}`],
  );
  if (stack !== undefined) lines.push('', 'stack', printable(stack));
  lines.push('', ...payloadLines(payload));
  return `${lines.join('\n')}\n`;
}

export function summaryJson(letter: LetterSummary): string {
  const { diedAtMs, ...rest } = letter;
  return JSON.stringify({ ...rest, diedAt: timeOf(diedAtMs) });
}

/** A payload that is UTF-8 as `payload`, another as `payloadBase64`. */
export function letterJson(letter: StoredLetter): string {
  const { content, diedAtMs, message: _, ...rest } = letter;
  const { topic, qos, publisher, properties, payload } = content;
  const text = textOf(payload);
  const { correlationData, ...others } = properties ?? {};
  return JSON.stringify({
    ...rest,
    diedAt: timeOf(diedAtMs),
    topic,
    qos,
    user: publisher.user,
    clientIdentifier: publisher.clientIdentifier,
    properties: {
      ...others,
      ...(correlationData && { correlationDataBase64: base64(correlationData) }),
    },
    ...(text === undefined ? { payloadBase64: base64(payload) } : { payload: text }),
  });
}

function payloadLines(payload: Uint8Array): string[] {
  if (payload.length === 0) return ['payload: empty'];
  const shown = payload.subarray(0, LONGEST_PAYLOAD);
  const left = payload.length - shown.length;
  const more = left > 0 ? [`and ${left} bytes more: --json has all`] : [];
  const text = textOf(payload);
  if (text === undefined) {
    return [`payload: ${payload.length} bytes`, ...hexLines(shown), ...more];
  }
  const json = left > 0 ? undefined : jsonOf(text);
  if (json !== undefined) return [`payload: ${payload.length} bytes of JSON`, printable(json)];
  const start = new TextDecoder().decode(shown, { stream: true });
  return [`payload: ${payload.length} bytes of text`, printable(start), ...more];
}

/** Undefined where it is not UTF-8, or holds what is no text. */
function textOf(payload: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

function jsonOf(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return undefined;
  }
}

/** Sixteen bytes a line, with where they stand and those among them that are ASCII. */
function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = bytes.subarray(at, at + 16);
    const hex = [...line].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = [...line].map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    );
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${ascii.join('')}`);
  }
  return lines;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

function errorOf({ kind, detail, at }: LetterSummary): string {
  return `${kind}: ${detail}${at === undefined ? '' : ` (${at})`}`;
}

/** Seconds are enough, in UTC. */
function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

// Control characters, and those that turn the direction of writing.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** With escapes for all that is not to reach a terminal; line ends and tabs stay. */
function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(unprintable, (character) =>
      character === '\n' || character === '\t' ? character : escaped(character),
    );
}

function onOneLine(text: string): string {
  return text.replace(unprintable, escaped);
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

function shortened(text: string): string {
  return text.length <= LONGEST_CELL ? text : `${text.slice(0, LONGEST_CELL - 1)}…`;
}
