import { expect, test } from 'bun:test';
import { type Options, readArguments, UsageError } from '../../core/cli/arguments.ts';
import { commands } from '../../core/cli/command-line.ts';
import { flagName, settingKeys } from '../../core/ops/settings.ts';

const options: Options = {
  topic: { value: 'filter', text: '', short: 't', several: true },
  message: { value: 'text', text: '', short: 'm' },
  retain: { value: undefined, text: '' },
};

test('options are read in every way of writing them', () => {
  const given = readArguments(['-t', 'a', '--topic=b', '--topic', 'c', '-mx', '--retain'], options);
  expect(given.all('topic')).toEqual(['a', 'b', 'c']);
  expect(given.get('message')).toBe('x');
  expect(given.has('retain')).toBe(true);
  expect(given.has('other')).toBe(false);
});

test('every setting is a flag beside them', () => {
  const given = readArguments(['--mqtts-port', '1', '--data-dir=x', '--retain'], options);
  expect([...given.settings]).toEqual([
    ['mqttsPort', '1'],
    ['dataDir', 'x'],
  ]);
});

test('a message may begin with a hyphen, written with =', () => {
  expect(readArguments(['--message=-1'], options).get('message')).toBe('-1');
});

const mistakes = [
  [['--nothing'], 'there is no option --nothing'],
  [['--retian'], 'did you mean --retain?'],
  [['--mqtts-prot', '1'], 'did you mean --mqtts-port?'],
  [['-x'], 'there is no option -x'],
  [['word'], 'unexpected "word"'],
  [['--', 'word'], 'unexpected "word"'],
  [['--message'], '--message needs a value'],
  [['--mqtts-port'], '--mqtts-port needs a value'],
  [['--retain=yes'], '--retain takes no value'],
  [['-m', 'a', '-m', 'b'], '-m is given twice'],
  [['--mqtts-port=1', '--mqtts-port=2'], '--mqtts-port is given twice'],
] as const;

test.each(mistakes)('%j is a usage error', (written, detail) => {
  expect(() => readArguments(written, options)).toThrow(UsageError);
  expect(() => readArguments(written, options)).toThrow(detail);
});

test('a secret is not taken from the command line, and not repeated', () => {
  expect(() => readArguments(['--jwt-secret', 'hunter2'], options)).toThrow(
    'set JWT_SECRET in the',
  );
  expect(() => readArguments(['--jwt-secret=hunter2'], options)).not.toThrow('hunter2');
});

test('no option of a command hides a setting', async () => {
  const flags = new Set(settingKeys.map(flagName));
  for (const { load } of Object.values(commands)) {
    for (const option of Object.keys((await load()).options)) expect(flags).not.toContain(option);
  }
});

test('values are checked against what they may be', () => {
  const given = readArguments(['--message', '3'], options);
  expect(given.choice('message', ['1', '3'], '1')).toBe('3');
  expect(given.choice('topic', ['1', '3'], '1')).toBe('1');
  expect(() => given.choice('message', ['a', 'b'], 'a')).toThrow('must be one of a, b');
  expect(given.count('message')).toBe(3);
  expect(given.count('topic')).toBeUndefined();
  expect(() => readArguments(['--message', '0'], options).count('message')).toThrow('from 1');
  expect(() => given.need('topic')).toThrow('--topic is missing');
});
