/**
 * Why a listener could not be opened, in one line that names the setting to look at.
 */
export class ListenError extends Error {
  /** The setting that the remedy lies in. */
  readonly setting: string;

  constructor(setting: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
    this.setting = setting;
  }

  /** Reads what Bun threw on opening `hostname`:`port`, or on making ready for TLS there. */
  static from(thrown: unknown, setting: string, hostname: string, port: number): ListenError {
    const code = (thrown as { code?: string }).code;
    const where = `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;
    const cause = { cause: thrown };
    switch (code) {
      case 'EADDRINUSE':
        return new ListenError(
          setting,
          `${setting}: port ${port} is in use by another process; stop it or choose another port`,
          cause,
        );
      case 'EACCES':
        return new ListenError(
          setting,
          `${setting}: no permission to listen on ${where}; ports below 1024 need a privilege`,
          cause,
        );
      case 'ERR_SSL_NO_CIPHER_MATCH':
        return new ListenError('TLS_CIPHERS', 'TLS_CIPHERS: it names no cipher of TLS 1.2', cause);
      default:
        if (code?.startsWith('ERR_'))
          return new ListenError('TLS_CERT', `TLS_CERT: ${messageOf(thrown)}`, cause);
        return new ListenError(
          'HOST',
          `HOST: cannot listen on ${where}: ${code === 'EADDRNOTAVAIL' ? 'this machine does not have that address' : messageOf(thrown)}`,
          cause,
        );
    }
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
