/** Topic Names and Topic Filters for the property tests: few words, so that many of them meet. */
import fc from 'fast-check';
import type { TopicFilter, TopicName } from '../../core/mqtt/topic.ts';

const words = fc.constantFrom('', 'a', 'b', 'ab', '$a', '$SYS', 'é', '1_a');
const wordOrPlus = fc.oneof({ weight: 3, arbitrary: words }, fc.constant('+'));

export const topics: fc.Arbitrary<TopicName> = fc
  .array(words, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join('/'))
  .filter((text) => text.length > 0)
  .map((text) => text as TopicName);

export const filters: fc.Arbitrary<TopicFilter> = fc
  .tuple(fc.array(wordOrPlus, { maxLength: 5 }), fc.boolean())
  .map(([levels, hash]) => (hash ? [...levels, '#'] : levels).join('/'))
  .filter((text) => text.length > 0)
  .map((text) => text as TopicFilter);
