/** Secrets that handlers name: read from the environment when they load, and kept out of all that is logged. */
import { encodeLevel } from '../auth/user-topic.ts';
import type { Fault } from './fault.ts';

/** Shorter values are not looked for: they would be found in words that have nothing to do with them. */
const SHORTEST = 8;

/** The values of `names`; for those that are missing or empty, their names. */
export function readSecrets(
  names: readonly string[],
  environment: { readonly [name: string]: string | undefined },
): { readonly values: { readonly [name: string]: string }; readonly missing: readonly string[] } {
  const values: { [name: string]: string } = {};
  for (const name of names) {
    const value = environment[name];
    if (value !== undefined && value !== '') values[name] = value;
  }
  return { values, missing: names.filter((name) => !(name in values)) };
}

/** Takes values of secrets out of texts. */
export class Redactor {
  /** Longest first, so that one which is part of another leaves nothing of it behind. */
  #hidden: (readonly [value: string, name: string])[] = [];

  add(secrets: { readonly [name: string]: string }): void {
    for (const [name, value] of Object.entries(secrets)) {
      if (value.length < SHORTEST) continue;
      // As it is, and as it stands within JSON and in what is inspected, in a URL, and in a user topic.
      const forms = new Set([
        value,
        JSON.stringify(value).slice(1, -1),
        encodeURIComponent(value),
        encodeLevel(value) ?? value,
      ]);
      for (const form of forms) {
        if (!this.#hidden.some(([known]) => known === form)) this.#hidden.push([form, name]);
      }
    }
    this.#hidden.sort(([a], [b]) => b.length - a.length);
  }

  text(text: string): string {
    let redacted = text;
    for (const [value, name] of this.#hidden) {
      if (redacted.includes(value)) redacted = redacted.replaceAll(value, `[${name}]`);
    }
    return redacted;
  }

  fault(fault: Fault): Fault {
    if (this.#hidden.length === 0) return fault;
    const { detail, stack, at } = fault;
    return {
      ...fault,
      detail: this.text(detail),
      stack: stack && this.text(stack),
      at: at && this.text(at),
    };
  }
}
