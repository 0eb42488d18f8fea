/**
 * What a client and the broker agreed on at CONNECT and CONNACK. A fleet of phones asks for the same, so
 * that neighbours share one object.
 */
export interface Terms {
  /** Whether Reason Strings go on packets other than CONNACK, PUBLISH and DISCONNECT. [MQTT-3.1.2-29] */
  readonly requestProblemInformation: boolean;
  /** Largest packet the client takes, in bytes. [MQTT-3.1.2-24] */
  readonly maximumPacketSize: number;
  /** That of CONNECT; undefined where it has none. */
  readonly authenticationMethod: string | undefined;
  /** What CONNACK said: a token renewed since may allow more or less, and nothing can tell the client. */
  readonly retainAvailable: boolean;
  /** Session Expiry Interval of CONNECT: one of 0 may not be raised at DISCONNECT. [MQTT-3.1.2-23] */
  readonly connectedWithExpiry: number;
  readonly keepAliveSeconds: number;
}

/** As long as there is no CONNECT. */
export const noTerms: Terms = {
  requestProblemInformation: true,
  maximumPacketSize: Number.POSITIVE_INFINITY,
  authenticationMethod: undefined,
  retainAvailable: true,
  connectedWithExpiry: 0,
  keepAliveSeconds: 0,
};

export class SharedTerms {
  #last = noTerms;

  /** An object that says what `terms` does. */
  share(terms: Terms): Terms {
    if (!isSame(this.#last, terms)) this.#last = terms;
    return this.#last;
  }
}

function isSame(a: Terms, b: Terms): boolean {
  return (
    a.requestProblemInformation === b.requestProblemInformation &&
    a.maximumPacketSize === b.maximumPacketSize &&
    a.authenticationMethod === b.authenticationMethod &&
    a.retainAvailable === b.retainAvailable &&
    a.connectedWithExpiry === b.connectedWithExpiry &&
    a.keepAliveSeconds === b.keepAliveSeconds
  );
}
