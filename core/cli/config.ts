/** `bellhop config`: every setting, its value and where it came from. */
import { configurationText } from '../ops/settings-text.ts';
import type { Command } from './arguments.ts';
import { readConfiguration } from './configured.ts';

export const config: Command = {
  usage: '[options]',
  about: `Prints every setting, its value and where it came from: the default, the environment, a .env
file or the command line. Secrets are masked.`,
  options: {},
  async run(given) {
    const configuration = readConfiguration(given);
    for (const warning of configuration.warnings) process.stderr.write(`bellhop: ${warning}\n`);
    process.stdout.write(configurationText(configuration));
    return 0;
  },
};
