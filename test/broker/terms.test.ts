/** What clients agreed on is one object for those that asked for the same, and nobody gets another's. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { noTerms, SharedTerms, type Terms } from '../../core/broker/terms.ts';

const someTerms: fc.Arbitrary<Terms> = fc.record({
  requestProblemInformation: fc.boolean(),
  maximumPacketSize: fc.constantFrom(20, Number.POSITIVE_INFINITY),
  authenticationMethod: fc.constantFrom(undefined, 'JWT'),
  retainAvailable: fc.boolean(),
  connectedWithExpiry: fc.constantFrom(0, 60),
  keepAliveSeconds: fc.constantFrom(0, 60),
});

test('whoever comes after whom, each gets terms that say what was agreed', () => {
  fc.assert(
    fc.property(fc.array(someTerms, { maxLength: 30 }), (all) => {
      const shared = new SharedTerms();
      for (const terms of all) expect(shared.share(terms)).toEqual(terms);
    }),
    { seed: 7, numRuns: 200 },
  );
});

test.each(Object.keys(noTerms) as (keyof Terms)[])(
  'who differs from its neighbour in %s alone does not share with it',
  (name) => {
    const shared = new SharedTerms();
    const first = shared.share({ ...noTerms });
    const other = { ...noTerms, [name]: name === 'authenticationMethod' ? 'JWT' : 7 };
    expect(shared.share(other)).toEqual(other);
    expect(shared.share({ ...noTerms })).toEqual(first);
  },
);

test('neighbours that asked for the same share one object', () => {
  const shared = new SharedTerms();
  const first = shared.share({ ...noTerms, keepAliveSeconds: 60 });
  expect(shared.share({ ...noTerms, keepAliveSeconds: 60 })).toBe(first);
});
