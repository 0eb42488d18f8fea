export interface Certificate {
  /** The name (SNI) that it is for; undefined for the one that answers to every other name. */
  readonly serverName: string | undefined;
  /** PEM, with the chain behind it. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}
