/**
 * Where the broker is that `bellhop handlers` and `bellhop bench` connect to, over TCP: what their option
 * `--broker` says, or this machine.
 */
import type { Config } from '../ops/settings.ts';
import type { Target } from '../plugins/remote-line.ts';
import { type Arguments, UsageError } from './arguments.ts';
import { readAuthorities } from './client.ts';

const ports = { 'mqtts:': 8_883, 'mqtt:': 1_883 } as const;

/** The broker that this machine's configuration is for. */
export function localUrl({ mqttsPort, mqttPort }: Config): string {
  return mqttsPort > 0 ? `mqtts://localhost:${mqttsPort}` : `mqtt://localhost:${mqttPort}`;
}

/** Throws a `UsageError`; `instead` tells what to do in place of a user name in the URL. */
export function readBrokerUrl(written: string, instead: string): URL {
  const url = URL.parse(written);
  if (url === null || !(url.protocol in ports) || url.hostname === '') {
    throw new UsageError(
      `--broker is ${JSON.stringify(written)}, but must be mqtts://host:port or mqtt://host:port`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(`--broker holds a user name: ${instead}`);
  }
  return url;
}

/** `url` as a socket needs it, checked as the options say. */
export function targetOf(given: Arguments, config: Config, url: URL): Target {
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  return {
    hostname,
    port: Number(url.port === '' ? ports[url.protocol as keyof typeof ports] : url.port),
    tls:
      url.protocol === 'mqtts:'
        ? {
            serverName: hostname,
            rejectUnauthorized: !given.has('insecure'),
            ...readAuthorities(given, config, url),
          }
        : undefined,
  };
}
