/**
 * Standard Schema, version 1 (standardschema.dev): the interface that validation libraries have in
 * common, as far as handlers need it. Valibot, Zod and ArkType schemas fit it as they are.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validation<Output> | Promise<Validation<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type Validation<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

/** What does not fit, and where in the value. */
export interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a schema makes of a value that fits. */
export type OutputOf<Schema extends StandardSchema> = NonNullable<
  Schema['~standard']['types']
>['output'];

/** The issues in one line, each led by its place: `to: expected a string; since.year: too early`. */
export function describeIssues(issues: readonly Issue[]): string {
  return issues.map(describeIssue).join('; ');
}

function describeIssue({ message, path }: Issue): string {
  if (path === undefined || path.length === 0) return message;
  const keys = path.map((step) => String(typeof step === 'object' ? step.key : step));
  return `${keys.join('.')}: ${message}`;
}
