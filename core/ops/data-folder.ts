/**
 * The data folder and the development secret in it: what the first start makes, so that the broker
 * runs from nothing.
 */
import { accessSync, constants, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from './lifecycle.ts';

/** RFC 7518 section 3.2 asks for as many as the hash has. */
const SECRET_BYTES = 32;

/** Makes the folder with mode 0700 where it is missing. Throws `StartError` where it cannot be used. */
export function openDataFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    if (!statSync(path).isDirectory()) throw new Error('it is not a folder');
  } catch (error) {
    throw new StartError(
      `DATA_DIR: ${path} cannot be used: ${(error as Error).message}; make it writable or choose another folder`,
    );
  }
}

export function secretPath(dataDir: string): string {
  return join(dataDir, 'jwt-secret');
}

/** The certificate that the first start makes, for clients to trust. */
export function certificatePath(dataDir: string): string {
  return join(dataDir, 'tls.crt');
}

/** The secret that an earlier start made; undefined where there was none. Throws `StartError` where the file is no good. */
export function readSecret(dataDir: string): string | undefined {
  const path = secretPath(dataDir);
  let secret: string;
  try {
    secret = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw new StartError(`${path} cannot be read: ${(error as Error).message}`);
  }
  if (secret === '') {
    throw new StartError(
      `${path} is empty: remove it to have a new secret made, or set JWT_SECRET`,
    );
  }
  return secret;
}

/** The secret in the data folder, made at random with mode 0600 where there is none. Throws `StartError`. */
export function ensureSecret(dataDir: string): string {
  const known = readSecret(dataDir);
  if (known !== undefined) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  const secret = bytes.toBase64({ alphabet: 'base64url' });
  try {
    writeFileSync(secretPath(dataDir), `${secret}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new StartError(`${secretPath(dataDir)} cannot be written: ${(error as Error).message}`);
  }
  return secret;
}
