/** Listeners of tests, over fake brokers: they and their turns end with the test. */
import { listenTcp, type TcpListener, type TcpOptions } from '../../core/net/tcp.ts';
import type { FakeBroker, Stage } from './fake-broker.ts';

interface Stoppable {
  readonly port: number;
  stop(): void;
}

export type Listening<L extends Stoppable> = Stage & {
  readonly listener: L;
  readonly port: number;
};

const running: Listening<Stoppable>[] = [];

/** For `afterEach` of the file that listens. */
export function stopAll(): void {
  for (const { listener, turn } of running.splice(0)) {
    listener.stop();
    turn.stop();
  }
}

/** Has `stopAll` stop `listener` and the turn of `stage`. */
export function untilStopped<L extends Stoppable>(stage: Stage, listener: L): Listening<L> {
  const listening = { ...stage, listener, port: listener.port };
  running.push(listening);
  return listening;
}

/** A listener on a free port, plaintext and without proxies unless `options` say otherwise. */
export function listenOver(
  stage: Stage,
  options: Partial<TcpOptions> = {},
): Listening<TcpListener> {
  const { turn } = stage;
  const usual = { hostname: '127.0.0.1', port: 0, setting: 'MQTTS_PORT' };
  const listener = listenTcp({ turn, ...usual, tls: undefined, proxy: undefined, ...options });
  return untilStopped(stage, listener);
}

/** Has the broker send back what comes. */
export function echo(broker: FakeBroker): void {
  broker.on = (call, bytes) => {
    if (call.call === 'received' && bytes !== undefined) broker.outbox.send(call.connection, bytes);
  };
}
