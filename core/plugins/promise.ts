/** What is awaited: promises, and all else that has a `then`, such as the queries that some packages give back. */

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | undefined | null)?.then === 'function';
}
