/**
 * TLS of the MQTT listener: what is asked of it, and the call by which Bun does it.
 *
 * The listener itself is plain, and TLS begins on each socket once it is accepted: so a new
 * certificate is simply what the next handshake uses, where a TLS listener of Bun 1.4.5 keeps the one
 * it was opened with, and a PROXY protocol header can come first. A connection costs 1 KB more than
 * on a TLS listener, 6.6 KB in all, and no more time.
 *
 * `upgradeTLS` as server goes beyond what Bun documents. Its `node:tls` is built on the same call,
 * `test/net/tls.test.ts` holds Bun to it, and no other file uses it.
 */
import { createSecureContext } from 'node:tls';
import type { Socket, SocketHandler } from 'bun';
import type { TlsMaterial } from './certificate.ts';

export interface TlsOptions {
  readonly material: TlsMaterial;
  /**
   * Client certificates: never asked for, asked for and checked where one is given, or required.
   * They come on top of the token and do not stand in for it. Other than `off` needs the material
   * to have authorities.
   */
  readonly clientCertificates: 'off' | 'optional' | 'required';
  /** OpenSSL cipher list for TLS 1.2; Bun's own choice where absent. */
  readonly ciphers?: string | undefined;
}

/** A certificate with its key and the rules, ready for any number of handshakes. */
export interface TlsContext {
  readonly native: object;
  readonly options: TlsOptions;
}

/** What ALPN calls MQTT, as a protocol name list (RFC 7301 section 3.1). */
const ALPN = Buffer.of(4, 0x6d, 0x71, 0x74, 0x74);

interface UndocumentedSocket {
  upgradeTLS<Data>(options: {
    data: Data;
    tls: object;
    socket: SocketHandler<Data>;
    isServer: true;
    initialData?: Uint8Array;
  }): [raw: Socket<unknown>, secure: Socket<Data>];
}

export function createTlsContext(options: TlsOptions): TlsContext {
  const [{ cert, key }] = options.material.certificates;
  const context = createSecureContext({
    cert,
    key,
    ...rulesOf(options),
    minVersion: 'TLSv1.2',
  });
  return { native: (context as unknown as { context: object }).context, options };
}

/**
 * Begins TLS as server on a plain socket, with `received` as the first bytes of it. `handlers` get
 * what was in the TLS stream, on a socket of their own; the raw one's handlers go on to be told of
 * its bytes and its end.
 */
export function upgradeToTls<Data>(
  socket: Socket<unknown>,
  context: TlsContext,
  handlers: SocketHandler<Data>,
  data: Data,
  received: Uint8Array,
): void {
  const { requestCert, rejectUnauthorized } = rulesOf(context.options);
  (socket as unknown as UndocumentedSocket).upgradeTLS<Data>({
    data,
    tls: { secureContext: context.native, requestCert, rejectUnauthorized, ALPNProtocols: ALPN },
    socket: handlers,
    isServer: true,
    ...(received.length > 0 ? { initialData: received } : {}),
  });
}

function rulesOf(options: TlsOptions) {
  const { clientAuthorities } = options.material;
  return {
    requestCert: options.clientCertificates !== 'off',
    rejectUnauthorized: options.clientCertificates === 'required',
    ...(clientAuthorities === undefined ? {} : { ca: clientAuthorities }),
    ...(options.ciphers === undefined ? {} : { ciphers: options.ciphers }),
  };
}
