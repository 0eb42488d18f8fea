/** What `--help` prints. */
import {
  environmentName,
  flagName,
  type SettingKey,
  sections,
  settingOf,
} from '../ops/settings.ts';
import { defaultText } from '../ops/settings-text.ts';
import type { Command } from './arguments.ts';

export function helpOfProgram(commands: {
  readonly [name: string]: { readonly summary: string };
}): string {
  const rows = Object.entries(commands).map(
    ([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`,
  );
  return `Bellhop, an MQTT broker for mobile backends.

Usage: bellhop [command] [options]

${rows.join('\n')}

  bellhop help <command>   tells more about a command
  bellhop --version        prints the version

Settings come from the environment, from .env in the current folder, or as flags:
MQTTS_PORT=8884 and --mqtts-port 8884 are the same. \`bellhop help serve\` lists them.
`;
}

export function helpOfCommand(name: string, command: Command): string {
  const options = Object.entries(command.options).map(([option, { value, text, short }]) => {
    const names = `${short === undefined ? '    ' : `-${short}, `}--${option}`;
    return `  ${`${names}${value === undefined ? '' : ` <${value}>`}`.padEnd(30)} ${text}`;
  });
  const listed = name === 'serve' ? settingsHelp() : '';
  return `Usage: bellhop ${`${name} ${command.usage}`.trim()}

${command.about}
${options.length > 0 ? `\n${options.join('\n')}\n` : ''}${listed}`;
}

function settingsHelp(): string {
  const blocks = Object.entries(sections).map(([title, section]) => {
    const rows = (Object.keys(section) as SettingKey[]).map((key) => {
      const setting = settingOf(key);
      const name = setting.secret ? environmentName(key) : `--${flagName(key)}`;
      const facts = [setting.expects, defaultText(key)].filter((fact) => fact !== '');
      return `  ${name}\n      ${setting.text}\n      (${facts.join('; ')})`;
    });
    return `\n${title}\n\n${rows.join('\n')}\n`;
  });
  return blocks.join('');
}
