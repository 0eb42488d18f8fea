/** How many connections the system has room for: each takes a file descriptor. */
import { defaultLimits } from '../broker/limits.ts';
import { descriptorLimit } from '../store/descriptors.ts';

/** For files, threads, the HTTP listener's clients, and sockets that are accepted to be refused. */
const KEPT_FREE = 512;
/** Closed connections whose sockets still stand. */
const LINGERING = 1_000;

export interface Room {
  readonly connections: number;
  readonly lingering: number;
  /** For the log, where somebody asked for more than there is. */
  readonly warning: string | undefined;
}

/**
 * What is left of `wanted` with `limit` file descriptors. The broker accepts a tenth more than it allows,
 * to tell them why they are refused; so that is left free too.
 */
export function roomForConnections(wanted: number, limit = descriptorLimit()): Room {
  if (limit === undefined) return { connections: wanted, lingering: LINGERING, warning: undefined };
  const free = Math.min(KEPT_FREE, Math.floor(limit / 4));
  const lingering = Math.min(LINGERING, Math.floor(limit / 10));
  const most = Math.max(1, Math.floor((limit - free - lingering) / 1.1));
  if (wanted <= most) return { connections: wanted, lingering, warning: undefined };
  const asked = wanted !== defaultLimits.maximumConnections;
  return {
    connections: most,
    lingering,
    warning: asked
      ? `MAXIMUM_CONNECTIONS is ${wanted}, and the ${limit} file descriptors of this process are enough for ${most}; raise them with ulimit -n or LimitNOFILE`
      : undefined,
  };
}
