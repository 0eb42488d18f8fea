/** The broker did what it must not, or did not what it must: what, in the words of a report. */
export class Failure extends Error {
  override readonly name = 'Failure';
}

/** Ends the run where `held` is false. */
export function check(held: boolean, what: string | (() => string)): asserts held {
  if (!held) throw new Failure(typeof what === 'string' ? what : what());
}
