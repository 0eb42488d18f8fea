/** Reads the configuration for a command; what is wrong with it ends the command. */
import { type Configuration, configure, surroundings } from '../ops/configuration.ts';
import { StartError } from '../ops/lifecycle.ts';
import type { Arguments } from './arguments.ts';
import { UsageError } from './arguments.ts';

/** Throws `UsageError` for a wrong flag, `StartError` for anything else. */
export function readConfiguration(given: Arguments): Configuration {
  const outcome = configure(readSurroundings(given));
  if (outcome.kind === 'configured') return outcome.configuration;
  throw outcome.byFlag ? new UsageError(outcome.detail) : new StartError(outcome.detail);
}

function readSurroundings(given: Arguments) {
  try {
    return surroundings(given.settings);
  } catch (error) {
    throw new StartError((error as Error).message);
  }
}
