/**
 * Keeps TLS material in step with its files: a renewed certificate is in use within seconds, and on
 * request at once (SIGHUP). What cannot be used changes nothing, and is reported once.
 *
 * The files are looked at every two seconds, through symbolic links, rather than watched: certbot
 * turns a link, Kubernetes turns the folder that a link leads through, bind mounts and network file
 * systems tell nobody, and a look sees them all. A change is taken up once it has held for a whole
 * interval, so that a pair is not read while it is half written.
 */
import { stat } from 'node:fs/promises';
import { loadTlsMaterial, type TlsFiles, type TlsMaterial } from './certificate.ts';
import type { NetCounters } from './counters.ts';

export type CertificateEvent =
  | { readonly kind: 'certificate-reloaded'; readonly material: TlsMaterial }
  | { readonly kind: 'certificate-refused'; readonly error: Error };

export interface CertificateKeeperOptions {
  readonly files: TlsFiles;
  /** What the files held at start. */
  readonly material: TlsMaterial;
  /** Puts new material to use: in every listener. Where it throws, the reload counts as refused. */
  readonly use: (material: TlsMaterial) => void;
  readonly report: (event: CertificateEvent) => void;
  readonly counters: NetCounters;
  /** How often the files are looked at. */
  readonly intervalMs?: number;
}

export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #paths: readonly string[];
  material: TlsMaterial;
  /** What the files looked like when they were last read; undefined before the first look. */
  #read: string | undefined = undefined;
  #seen = '';
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    this.material = options.material;
    const { certificates, clientAuthorities } = options.files;
    this.#paths = [
      ...certificates.flatMap(({ cert, key }) => [cert, key]),
      ...(clientAuthorities === undefined ? [] : [clientAuthorities]),
    ];
  }

  /** Begins to look at the files. */
  async start(): Promise<void> {
    this.#read = this.#seen = await this.#look();
    this.#schedule();
  }

  /** Reads the files now; true where they are in use. */
  reload(): Promise<boolean> {
    const reload = this.#reloading.then(() => this.#reload());
    this.#reloading = reload;
    return reload;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(this.#check, this.#options.intervalMs ?? 2_000);
    this.#timer.unref();
  }

  #check = async (): Promise<void> => {
    const looks = await this.#look();
    const holds = looks === this.#seen;
    this.#seen = looks;
    if (holds && looks !== this.#read) await this.reload();
    this.#schedule();
  };

  async #reload(): Promise<boolean> {
    const { files, use, report, counters } = this.#options;
    this.#read = await this.#look();
    try {
      const material = await loadTlsMaterial(files);
      use(material);
      this.material = material;
      counters.certificateReloads++;
      report({ kind: 'certificate-reloaded', material });
      return true;
    } catch (error) {
      counters.certificateReloadFailures++;
      report({
        kind: 'certificate-refused',
        error: error instanceof Error ? error : new Error(String(error)),
      });
      return false;
    }
  }

  /** A text that changes whenever one of the files does. */
  async #look(): Promise<string> {
    const looks = await Promise.all(
      this.#paths.map((path) =>
        stat(path).then(
          ({ dev, ino, size, mtimeMs, ctimeMs }) => [dev, ino, size, mtimeMs, ctimeMs].join(),
          (error: { code?: string }) => error.code ?? 'unreadable',
        ),
      ),
    );
    return looks.join(' ');
  }
}
