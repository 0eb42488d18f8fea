/**
 * Sessions by user and Client Identifier. Most users have one, which is stored bare: the index then costs
 * no text and no map beside those that there are anyway.
 */
export interface Owned {
  readonly user: string;
  readonly clientIdentifier: string;
}

export class SessionIndex<S extends Owned> {
  readonly #byUser = new Map<string, S | Map<string, S>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(user: string, clientIdentifier: string): S | undefined {
    const held = this.#byUser.get(user);
    if (held instanceof Map) return held.get(clientIdentifier);
    return held?.clientIdentifier === clientIdentifier ? held : undefined;
  }

  /** There must be none of its user and Client Identifier yet. */
  add(session: S): void {
    const { user, clientIdentifier } = session;
    const held = this.#byUser.get(user);
    this.#size++;
    if (held === undefined) {
      this.#byUser.set(user, session);
    } else if (held instanceof Map) {
      held.set(clientIdentifier, session);
    } else {
      const several = new Map([[held.clientIdentifier, held]]);
      several.set(clientIdentifier, session);
      this.#byUser.set(user, several);
    }
  }

  /** False where it is not this very one that is here. */
  delete(session: S): boolean {
    const { user, clientIdentifier } = session;
    if (this.get(user, clientIdentifier) !== session) return false;
    this.#size--;
    const held = this.#byUser.get(user);
    if (held instanceof Map && held.size > 1) held.delete(clientIdentifier);
    else this.#byUser.delete(user);
    return true;
  }
}
