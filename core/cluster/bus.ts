/**
 * The seam between nodes: the broker hands what it routes to the bus, and takes what other nodes
 * hand to it. What came over the bus is never forwarded again.
 */
import type { Message } from '../mqtt/packet.ts';

export interface Bus {
  /** A message that was published on this node. Its payload is good only during the call. */
  forward(message: Message): void;
  /** From here on, what other nodes forward goes to `arrived`. */
  connect(arrived: (message: Message) => void): void;
  /** From here on, nothing is forwarded and nothing arrives. */
  close(): void;
}

/** The bus of a node without peers. */
export function createLocalBus(): Bus {
  return {
    forward() {},
    connect() {},
    close() {},
  };
}
