/**
 * Tells systemd how the service is (sd_notify): datagrams to the Unix socket that NOTIFY_SOCKET names.
 * The runtime has no Unix datagram sockets, so three functions of libc are called directly.
 */
import { dlopen, ptr } from 'bun:ffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** Room for a path in `sockaddr_un`, its terminating NUL included. */
const LONGEST_PATH = 108;

export interface Notifier {
  /** Sends one assignment, `READY=1`; tells whether it left. Never waits. */
  send(state: string): boolean;
  /** How often the watchdog wants to hear from us; undefined where there is none. */
  readonly watchdogMs: number | undefined;
}

type Environment = { readonly [name: string]: string | undefined };

/** Undefined where no service manager asked to be told. Throws where it did and cannot be. */
export function openNotifier(environment: Environment): Notifier | undefined {
  const path = environment.NOTIFY_SOCKET;
  if (path === undefined || path === '') return undefined;
  const address = socketAddress(path);
  const libc = dlopen('libc.so.6', {
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    sendto: { args: ['i32', 'ptr', 'u64', 'i32', 'ptr', 'u32'], returns: 'i64' },
    close: { args: ['i32'], returns: 'i32' },
  }).symbols;
  return {
    watchdogMs: watchdogMs(environment),
    send: (state) => {
      const descriptor = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      if (descriptor < 0) return false;
      const bytes = Buffer.from(state);
      const sent = libc.sendto(
        descriptor,
        ptr(bytes),
        bytes.length,
        MSG_DONTWAIT | MSG_NOSIGNAL,
        ptr(address),
        address.length,
      );
      libc.close(descriptor);
      return Number(sent) === bytes.length;
    },
  };
}

/** A `sockaddr_un`: the family in the machine's byte order (little-endian, as are all that we build for), then the path; `@` begins an abstract one. */
function socketAddress(path: string): Uint8Array {
  const abstract = path.startsWith('@');
  const name = Buffer.from(abstract ? `\0${path.slice(1)}` : `${path}\0`);
  if (!abstract && !path.startsWith('/')) throw new Error('NOTIFY_SOCKET is no path');
  if (name.length > LONGEST_PATH) throw new Error('NOTIFY_SOCKET is too long');
  const address = new Uint8Array(2 + name.length);
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}

/** Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises. */
function watchdogMs(environment: Environment): number | undefined {
  const microseconds = Number(environment.WATCHDOG_USEC);
  const processId = environment.WATCHDOG_PID;
  if (!(microseconds > 0)) return undefined;
  if (processId !== undefined && processId !== String(process.pid)) return undefined;
  return Math.max(1, Math.floor(microseconds / 2_000));
}
