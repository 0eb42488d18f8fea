/**
 * Prints `docs/conformance.md`: every numbered statement of both standards that binds a server, with
 * the tests whose names begin with it, or with the reason why it has none. `scripts/docs.ts` writes it.
 */
import {
  findTests,
  mqtt5,
  mqtt311,
  type NamedTest,
  type Statement,
} from '../test/conformance/statements.ts';

const titles: { readonly [section: string]: string } = {
  'MQTT-1.5': 'Data representation',
  'MQTT-2.1': 'Fixed header',
  'MQTT-2.2': 'Variable header: Packet Identifiers and properties',
  'MQTT3-1.5': 'Data representation',
  'MQTT3-2.2': 'Fixed header',
  'MQTT3-2.3': 'Variable header: Packet Identifiers',
  '3.1': 'CONNECT',
  '3.2': 'CONNACK',
  '3.3': 'PUBLISH',
  '3.4': 'PUBACK',
  '3.5': 'PUBREC',
  '3.6': 'PUBREL',
  '3.7': 'PUBCOMP',
  '3.8': 'SUBSCRIBE',
  '3.9': 'SUBACK',
  '3.10': 'UNSUBSCRIBE',
  '3.11': 'UNSUBACK',
  '3.12': 'PINGREQ',
  '3.14': 'DISCONNECT',
  '3.15': 'AUTH',
  '4.1': 'Session State',
  '4.2': 'Network Connections',
  '4.3': 'Quality of Service',
  '4.4': 'Message delivery retry',
  '4.5': 'Message receipt',
  '4.6': 'Message ordering',
  '4.7': 'Topic Names and Topic Filters',
  'MQTT-4.8': 'Subscriptions',
  'MQTT3-4.8': 'Handling errors',
  '4.9': 'Flow control',
  '4.12': 'Enhanced authentication',
  '4.13': 'Handling errors',
  '6.0': 'WebSocket',
  '7.0': 'Conformance',
  '7.1': 'Conformance clauses',
};

/** `MQTT-3.1.2-4` is in section 3.1, and `titles` may have one for its standard alone. */
function sectionOf({ id }: Statement): string {
  const [, standard = '', section = ''] = /^(MQTT3?)-(\d+\.\d+)/.exec(id) ?? [];
  const title = titles[`${standard}-${section}`] ?? titles[section];
  if (title === undefined) throw new Error(`${id}: scripts/conformance.ts has no title for it`);
  return `${section} ${title}`;
}

/** A name without what a table fills in, and without what would be a link or a tag. */
function nameOf({ name }: NamedTest): string {
  return name
    .replace(/,? in version %i/, '')
    .replace(/ \(first byte %i\)/, '')
    .replace(/"?(?:%[ips]|\$[a-zA-Z]+)"?/g, '…')
    .replace(/[<[|*_]/g, '\\$&');
}

function linesOf(statement: Statement, tests: readonly NamedTest[]): string[] {
  const { id, binds, text, reason } = statement;
  const whom = binds === 'both' ? 'client and server' : binds;
  const named = tests.filter(({ statements }) => statements.includes(id));
  const proofs = new Set(
    named.map(
      (test) => `[${test.file.replace(/\.test\.ts$/, '')}](../test/${test.file}): ${nameOf(test)}`,
    ),
  );
  if (named.length === 0) proofs.add(`*No test:* ${reason ?? 'it binds clients'}`);
  return [`**${id}** (${whom}) ${text}`, '', ...[...proofs].map((proof) => `- ${proof}`), ''];
}

function chapterOf(
  title: string,
  statements: readonly Statement[],
  tests: readonly NamedTest[],
): string[] {
  const lines = [`## ${title}`, ''];
  let section = '';
  for (const statement of statements) {
    if (sectionOf(statement) !== section) {
      section = sectionOf(statement);
      lines.push(`### ${section}`, '');
    }
    lines.push(...linesOf(statement, tests));
  }
  return lines;
}

function countsOf(
  title: string,
  statements: readonly Statement[],
  tests: readonly NamedTest[],
): string {
  const tested = new Set(tests.flatMap((test) => test.statements));
  const ours = statements.filter(({ binds }) => binds !== 'client');
  const clients = statements.filter(({ binds }) => binds === 'client');
  const withTest = (list: readonly Statement[]): number =>
    list.filter(({ id }) => tested.has(id)).length;
  const cells = [
    title,
    statements.length,
    ours.length,
    withTest(ours),
    ours.length - withTest(ours),
    clients.length,
    withTest(clients),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** The whole page. */
export function conformancePage(): string {
  const tests = findTests();
  return [
    '# Conformance',
    '',
    'Every numbered statement of MQTT 5.0 (OASIS Standard, 7 March 2019) and of MQTT 3.1.1 (OASIS',
    'Standard, 29 October 2014), in our words, with the tests whose names begin with it. 3.1.1 is',
    'written `MQTT3-…`, because the numbers of the two differ. A statement that binds clients alone has',
    'tests where a server has something to answer to a client that breaks it. MQTT 3.1 has no numbered',
    'statements; tests that hold in every version run in 3.1 as well.',
    '',
    'Printed by `bun run docs` from the names of the tests: change those, not this page.',
    '',
    '| standard | statements | bind a server | of these tested | not tested, with the reason | bind clients alone | of these tested |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    countsOf('MQTT 5.0', mqtt5, tests),
    countsOf('MQTT 3.1.1', mqtt311, tests),
    '',
    ...chapterOf('MQTT 5.0', mqtt5, tests),
    ...chapterOf('MQTT 3.1.1', mqtt311, tests),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}
