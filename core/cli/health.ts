/** `bellhop health`: for container health checks, where there is no other client. */
import { StartError } from '../ops/lifecycle.ts';
import type { Command } from './arguments.ts';
import { readConfiguration } from './configured.ts';

const TIMEOUT_MS = 5_000;

export const health: Command = {
  usage: '[options]',
  about: `Asks the broker of this machine for /health over HTTPS, with the settings that it was started
with, and ends with 0 where it is well and 1 where it is not. The certificate is not checked.`,
  options: {},
  async run(given) {
    const { config } = readConfiguration(given);
    if (config.httpsPort === 0) {
      throw new StartError('HTTPS_PORT is 0: there is no /health to ask');
    }
    const host =
      config.host === '0.0.0.0' ? '127.0.0.1' : config.host === '::' ? '::1' : config.host;
    const url = `https://${host.includes(':') ? `[${host}]` : host}:${config.httpsPort}/health`;
    const answer = await fetch(url, {
      tls: { rejectUnauthorized: false },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: Error) => {
      throw new StartError(`${url}: ${error.message}`);
    });
    process.stdout.write(`${answer.status} ${await answer.text()}\n`);
    return answer.ok ? 0 : 1;
  },
};
