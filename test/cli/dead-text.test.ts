import { expect, test } from 'bun:test';
import { letterJson, letterTable, letterText, summaryJson } from '../../core/cli/dead-text.ts';
import type { LetterSummary, StoredLetter } from '../../core/store/dead-letters.ts';
import { content } from '../store/changes.ts';

const summary: LetterSummary = {
  number: 12,
  handler: 'contacts/accept',
  kind: 'throw',
  detail: 'no such contact',
  at: 'contacts/accept.ts:7',
  attempts: 5,
  invocation: '1a2b-7',
  diedAtMs: Date.UTC(2030, 0, 2, 3, 4, 5, 678),
  topic: content.topic,
  user: '68946',
  clientIdentifier: 'phone',
  payloadBytes: 3,
};

function letter(payload: string | Uint8Array, more: Partial<StoredLetter> = {}): StoredLetter {
  const { topic: _, user, clientIdentifier, payloadBytes: __, ...rest } = summary;
  return {
    ...rest,
    message: 11,
    content: {
      ...content,
      payload: Buffer.from(payload),
      publisher: { user, clientIdentifier, device: true },
    },
    stack: 'Error: no such contact\n    at run (contacts/accept.ts:7:9)',
    ...more,
  };
}

test('the table has a line for each, with columns that stand below each other', () => {
  const more = { ...summary, number: 7, user: '1', at: undefined, detail: 'x' };
  expect(letterTable([summary, more])).toBe(
    [
      'NUMBER  DIED                      HANDLER          ATTEMPTS  USER   TOPIC  ERROR',
      '12      2030-01-02T03:04:05.678Z  contacts/accept  5         68946  a/b    throw: no such contact (contacts/accept.ts:7)',
      '7       2030-01-02T03:04:05.678Z  contacts/accept  5         1      a/b    throw: x',
      '',
    ].join('\n'),
  );
});

test('what an error or a device wrote moves no cursor, turns no text round and fits a line', () => {
  const table = letterTable([{ ...summary, detail: `a\n\x1b[2J\u202e${'x'.repeat(500)}` }]);
  expect(table.split('\n')).toHaveLength(3);
  expect(table).toContain('throw: a\\u000a\\u001b[2J\\u202exxx');
  expect(table).toMatch(/x…\n$/);
  const shown = letterText(letter('\x1b]0;title\x07', { stack: 'Error\n\x9b31m', detail: 'a\rb' }));
  expect(shown.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(shown).toContain('throw: a\\u000db');
});

test('a letter is shown with its error, where it was, who sent it, the stack and the payload', () => {
  expect(letterText(letter('{"to":"23412"}'))).toBe(`number          12
handler         contacts/accept
error           throw: no such contact
at              contacts/accept.ts:7
attempts        5
died            2030-01-02T03:04:05.678Z
invocation      1a2b-7
topic           a/b
qos             1
user            68946
client          phone

stack
Error: no such contact
    at run (contacts/accept.ts:7:9)

payload: 14 bytes of JSON
{
  "to": "23412"
}
`);
});

test('a payload that is no JSON is shown as text, one that is no text in hexadecimal, and a long one in part', () => {
  const payloadOf = (payload: string | Uint8Array) =>
    letterText(letter(payload)).split('\n').slice(16).join('\n');
  expect(payloadOf('Łódź\n{')).toBe('payload: 9 bytes of text\nŁódź\n{\n');
  expect(payloadOf('')).toBe('payload: empty\n');
  expect(payloadOf(Uint8Array.from({ length: 18 }, (_, index) => index + 0xf0))).toBe(
    'payload: 18 bytes\n' +
      '000000  f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 fa fb fc fd fe ff  ................\n' +
      '000010  00 01                                            ..\n',
  );
  expect(payloadOf('a\0b')).toBe(
    'payload: 3 bytes\n000000  61 00 62                                         a.b\n',
  );
  const long = payloadOf('ä'.repeat(10_000));
  expect(long).toStartWith('payload: 20000 bytes of text\näää');
  expect(long).toEndWith('ä\nand 3616 bytes more: --json has all\n');
});

test('JSON has all of it, the payload as text or in base64', () => {
  const { diedAtMs: _, ...rest } = summary;
  expect(JSON.parse(summaryJson(summary))).toEqual({ ...rest, diedAt: '2030-01-02T03:04:05.678Z' });
  const text = JSON.parse(letterJson(letter('{"to":"23412"}')));
  expect(text).toMatchObject({
    number: 12,
    handler: 'contacts/accept',
    topic: 'a/b',
    user: '68946',
    clientIdentifier: 'phone',
    stack: expect.stringContaining('accept.ts:7:9'),
    payload: '{"to":"23412"}',
  });
  const properties = { ...emptyProperties, correlationData: new Uint8Array([0, 255]) };
  const binary = letter(new Uint8Array([0xff, 0]));
  const json = JSON.parse(letterJson({ ...binary, content: { ...binary.content, properties } }));
  expect(json.payloadBase64).toBe('/wA=');
  expect(json.properties).toEqual({ contentType: 'x', correlationDataBase64: 'AP8=' });
});

const emptyProperties = {
  payloadFormatIndicator: undefined,
  contentType: 'x',
  responseTopic: undefined,
  userProperties: undefined,
} as const;
