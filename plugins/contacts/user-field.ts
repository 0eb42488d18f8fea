import type { StandardSchema } from 'bellhop';

/**
 * A schema for `{ [name]: "<user id>" }`. Written out so that this folder needs no package; with
 * Valibot it is `v.object({ to: v.pipe(v.string(), v.nonEmpty()) })`.
 */
export function userField<Name extends string>(
  name: Name,
): StandardSchema<unknown, { readonly [key in Name]: string }> {
  return {
    '~standard': {
      version: 1,
      vendor: 'contacts',
      validate(value) {
        const user = (value as { [key in Name]?: unknown } | null | undefined)?.[name];
        if (typeof user !== 'string' || user === '') {
          return { issues: [{ message: 'expected a user id', path: [name] }] };
        }
        return { value: { [name]: user } as { [key in Name]: string } };
      },
    },
  };
}
