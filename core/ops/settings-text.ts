/** The settings as text: what `bellhop config` prints and the page `docs/configuration.md`. */
import type { Configuration } from './configuration.ts';
import {
  environmentName,
  flagName,
  reservedNames,
  type SettingKey,
  sections,
  settingKeys,
  settingOf,
} from './settings.ts';

/** `default 8883`, or nothing where the default is that nothing is set. */
export function defaultText(key: SettingKey): string {
  const setting = settingOf(key);
  const initial = setting.print(setting.initial);
  return initial === '' ? '' : `default ${initial}`;
}

/** A line for each setting: name, value, source. Secrets show only whether they are set. */
export function configurationText({ config, sources }: Configuration): string {
  const rows = settingKeys.map((key) => {
    const setting = settingOf(key);
    const value = setting.print(config[key]);
    const shown = value === '' ? '-' : setting.secret ? '********' : value;
    return [environmentName(key), shown, sources[key]] as const;
  });
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(([name, shown, source]) => {
      return `${name.padEnd(widths[0] ?? 0)}  ${shown.padEnd(widths[1] ?? 0)}  ${source}\n`;
    })
    .join('');
}

/** The page `docs/configuration.md`. */
export function configurationPage(): string {
  const parts = Object.entries(sections).map(([title, section]) => {
    const rows = (Object.keys(section) as SettingKey[]).map((key) => {
      const setting = settingOf(key);
      const initial = setting.print(setting.initial);
      const shown = initial === '' ? 'not set' : `\`${initial}\``;
      const note = setting.secret ? ' Not taken from the command line.' : '';
      return `| \`${environmentName(key)}\` | ${shown} | ${setting.expects} | ${setting.text}.${note} |`;
    });
    return `## ${title}\n\n| name | default | may be | what it is |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  const example = settingKeys[1] as SettingKey;
  return `# Configuration

<!-- Printed from core/ops/settings.ts by \`bun run docs\`. Edit that file. -->

Every setting has a name in the environment, such as \`${environmentName(example)}\`, and a flag,
\`--${flagName(example)}\`. The command line goes before the environment, the environment before a
\`.env\` file in the current folder, and that before the default. \`bellhop config\` prints what holds
and where it came from, with secrets masked.

A value that a setting cannot have stops the start with a line that names the setting, the value and
what it may be. So does a name in \`.env\` that is no setting but looks like one: it begins with
\`BELLHOP_\`, \`MQTT_\`, \`MQTTS_\`, \`HTTPS_\`, \`JWT_\` or \`TLS_\`, or differs from a setting in a letter or two.
Other names are left to the plugins. In the environment, which is full of names of others, only one
with such a beginning that all but spells a setting does so.

\`.env\` is read by the runtime, with its rules: values may be quoted; \`$NAME\` stands for another
variable, even in single quotes, so a plain \`$\` is written \`\\$\`; and without quotes a \`#\` begins a
comment. A line that breaks these rules stops the start with its number. With \`NODE_ENV\` unset,
\`.env.local\` and \`.env.development\` are read as well, and go before \`.env\`.

Integers may be written with underscores between groups of three digits: \`4_194_304\`.

${parts.join('\n')}
## Reserved names

${reservedNames.map((name) => `\`${name}\``).join(', ')} belong to later versions. Setting them is no error; a line at
the start says that they have no effect yet.
`;
}
