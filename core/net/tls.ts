/**
 * TLS of the MQTT listener: what is asked of it, and the calls by which Bun does it.
 *
 * Some of these calls go beyond what Bun documents (1.4.5): a listener's own certificate cannot be
 * changed (`reload({ tls })` is ignored), and a PROXY protocol header comes in front of TLS. Bun's
 * `node:tls` is built on the same calls, and `test/net/tls.test.ts` holds Bun to them; no other file
 * uses any.
 */
import { createSecureContext } from 'node:tls';
import type { Socket, SocketHandler, TLSOptions } from 'bun';
import type { Certificate } from './certificate.ts';

export interface TlsOptions {
  readonly certificate: Certificate;
  /**
   * Client certificates: never asked for, asked for and checked where one is given, or required.
   * They come on top of the token and do not stand in for it.
   */
  readonly clientCertificates: 'off' | 'optional' | 'required';
  /** PEM of the authorities that client certificates are checked against; needed unless `off`. */
  readonly clientAuthorities?: string | undefined;
  /** OpenSSL cipher list for TLS 1.2; Bun's own choice where absent. */
  readonly ciphers?: string | undefined;
}

/** A certificate with its key and rules, ready for any number of handshakes. */
export interface TlsContext {
  readonly native: object;
}

/** What ALPN calls MQTT, as a protocol name list (RFC 7301 section 3.1). */
const ALPN = Buffer.of(4, 0x6d, 0x71, 0x74, 0x74);
/** `Bun.listen` takes the number alone; the name that `node:tls` takes is ignored. */
const TLS_1_2 = 0x0303;

interface UndocumentedSocket {
  setKeyCert(context: object): void;
  upgradeTLS<Data>(options: {
    data: Data;
    tls: object;
    socket: SocketHandler<Data>;
    isServer: true;
    initialData?: Uint8Array;
  }): [raw: Socket<unknown>, secure: Socket<Data>];
}

/** For `Bun.listen`. */
export function listenerTls(options: TlsOptions): TLSOptions {
  return {
    cert: options.certificate.cert,
    key: options.certificate.key,
    ...rulesOf(options),
    ALPNProtocols: ALPN,
    ...{ minVersion: TLS_1_2 },
  };
}

export function createTlsContext(options: TlsOptions): TlsContext {
  const context = createSecureContext({
    cert: options.certificate.cert,
    key: options.certificate.key,
    ...rulesOf(options),
    minVersion: 'TLSv1.2',
  });
  return { native: (context as unknown as { context: object }).context };
}

/** Makes the handshake of `socket`, which has just been accepted, use `context`. */
export function useTlsContext(socket: Socket<unknown>, context: TlsContext): void {
  (socket as unknown as UndocumentedSocket).setKeyCert(context.native);
}

/**
 * Begins TLS as server on a plain socket, with `received` as the first bytes of it. `handlers` get
 * what was in the TLS stream, on a socket of their own; the raw one's handlers go on to be told of
 * its bytes and its end.
 */
export function upgradeToTls<Data>(
  socket: Socket<unknown>,
  context: TlsContext,
  options: TlsOptions,
  handlers: SocketHandler<Data>,
  data: Data,
  received: Uint8Array,
): void {
  const { requestCert, rejectUnauthorized } = rulesOf(options);
  (socket as unknown as UndocumentedSocket).upgradeTLS<Data>({
    data,
    tls: { secureContext: context.native, requestCert, rejectUnauthorized, ALPNProtocols: ALPN },
    socket: handlers,
    isServer: true,
    ...(received.length > 0 ? { initialData: received } : {}),
  });
}

function rulesOf(options: TlsOptions) {
  return {
    requestCert: options.clientCertificates !== 'off',
    rejectUnauthorized: options.clientCertificates === 'required',
    ...(options.clientAuthorities === undefined ? {} : { ca: options.clientAuthorities }),
    ...(options.ciphers === undefined ? {} : { ciphers: options.ciphers }),
  };
}
