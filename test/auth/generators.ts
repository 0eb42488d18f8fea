/** What the property tests of this folder draw from: few characters, so that ids and topics do meet. */
import fc from 'fast-check';
import { encodeUser, type Separator } from '../../core/auth/user-topic.ts';
import {
  parseTopicFilter,
  parseTopicName,
  type TopicFilter,
  type TopicName,
} from '../../core/mqtt/topic.ts';

const crowded = fc.constantFrom(
  ...['1', '2', 'a', '_', '/', '+', '#', '$', '%', '5F', '%5F', '|', '\0', '\u0085', 'é', '😀'],
);

/** User ids, well-formed and short enough. */
export const users: fc.Arbitrary<string> = fc
  .oneof(
    { weight: 4, arbitrary: fc.string({ unit: crowded, minLength: 1, maxLength: 5 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }) },
  )
  .filter((user) => encodeUser(user) !== undefined);

export const distinctUsers = fc.tuple(users, users).filter(([one, other]) => one !== other);

export const separators: fc.Arbitrary<Separator> = fc.constantFrom('_', '/');

const level = fc.string({
  unit: fc.constantFrom('1', '2', 'a', '_', '%', '5F', '$', 'é'),
  maxLength: 4,
});

function parsed<T>(text: string, parse: (text: string) => T | undefined): T {
  const value = parse(text);
  if (value === undefined) throw new Error(`the generator made ${JSON.stringify(text)}`);
  return value;
}

export const topics: fc.Arbitrary<TopicName> = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((text) => text.length > 0)
  .map((text) => parsed(text, parseTopicName));

/** Filters, about half of them with wildcards. */
export const filters: fc.Arbitrary<TopicFilter> = fc
  .tuple(
    fc.array(
      fc.oneof({ weight: 3, arbitrary: level }, { weight: 1, arbitrary: fc.constant('+') }),
      {
        minLength: 1,
        maxLength: 4,
      },
    ),
    fc.boolean(),
  )
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'))
  .filter((text) => text.length > 0)
  .map((text) => parsed(text, parseTopicFilter));

/** A topic that `filter` matches: its wildcards filled from `fillings`, round and round. */
export function topicUnder(filter: TopicFilter, fillings: readonly string[]): string {
  const levels: string[] = [];
  let next = 0;
  const filling = () => fillings[next++ % fillings.length] ?? '';
  for (const part of filter.split('/')) {
    if (part === '#') {
      if (fillings.length % 2 === 0) levels.push(filling(), filling());
    } else levels.push(part === '+' ? filling() : part);
  }
  return levels.join('/');
}
