/**
 * TLS from the settings: which files, what is in them, and what is asked of clients. Where none are
 * configured, a self-signed certificate is made in the data folder.
 */
import {
  CertificateError,
  loadTlsMaterial,
  pairCertificateFiles,
  type TlsFiles,
  type TlsMaterial,
} from '../net/certificate.ts';
import { ensureSelfSigned } from '../net/self-signed.ts';
import { StartError } from './lifecycle.ts';
import type { Config } from './settings.ts';

export interface OpenedTls {
  readonly files: TlsFiles;
  /** What is in use: replaced when the files are read anew. */
  material: TlsMaterial;
}

/** Throws `StartError`. */
export async function openTls(config: Config): Promise<OpenedTls> {
  if (config.tlsClientCert !== 'off' && config.tlsClientCa === undefined) {
    throw new StartError(
      'TLS_CLIENT_CA is missing: TLS_CLIENT_CERT needs authorities to check against',
    );
  }
  try {
    const configured = pairCertificateFiles(config.tlsCert, config.tlsKey);
    const files: TlsFiles = {
      certificates: configured ?? [await ensureSelfSigned(config.dataDir)],
      clientAuthorities: config.tlsClientCert === 'off' ? undefined : config.tlsClientCa,
    };
    return { files, material: await loadTlsMaterial(files) };
  } catch (error) {
    if (error instanceof CertificateError) throw new StartError(error.message);
    throw new StartError(`TLS_CERT: ${(error as Error).message}`);
  }
}
