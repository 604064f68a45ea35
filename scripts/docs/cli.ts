/**
 * Makes the parts of docs/cli.md between `<!-- made: NAME -->` and `<!-- end -->` from the
 * definitions of the commands. What is around them is written by hand.
 */
import { allCommands, buildProgram, environmentOf, helpOf, pathOf } from '@drover/cli';

type Command = ReturnType<typeof buildProgram>;

/** Options that every command with an engine has: described once. */
const ENGINE_OPTIONS: ReadonlySet<string> = new Set([
  'redis',
  'redisFile',
  'redisPasswordFile',
  'redisCacert',
  'redisCert',
  'redisKey',
  'redisServername',
  'prefix',
  'namespace',
]);

/** The text of docs/cli.md, from what it is now. */
export function makeCliDocs(current: string): string {
  const program = buildProgram(() => undefined);
  const parts: Readonly<Record<string, () => string>> = {
    'engine options': () => optionTable(engineOptions(program)),
    commands: () => commandSections(program),
    environment: () => environmentTable(program),
  };
  const seen = new Set<string>();
  const text = current.replace(
    /(<!-- made: ([\w ]+) -->\n)[^]*?(<!-- end -->)/g,
    (_all, begin: string, name: string, end: string) => {
      const make = parts[name];
      if (make === undefined) throw new Error(`docs/cli.md: there is no part "${name}"`);
      seen.add(name);
      return `${begin}\n${make()}\n\n${end}`;
    },
  );
  const missing = Object.keys(parts).filter((name) => !seen.has(name));
  if (missing.length > 0) throw new Error(`docs/cli.md has no part for: ${missing.join(', ')}`);
  return text;
}

function engineOptions(program: Command): Command['options'] {
  const get = program.commands.find((command) => command.name() === 'get');
  return (get?.options ?? []).filter((option) => ENGINE_OPTIONS.has(option.attributeName()));
}

function commandSections(program: Command): string {
  const groups = new Map<string, string[]>();
  for (const command of program.commands) {
    const group = command.helpGroup().replace(/:$/, '');
    const sections = groups.get(group) ?? [];
    groups.set(group, sections);
    // A command that only has others below it has nothing to say itself.
    const described = allCommands(command).filter(({ commands }) => commands.length === 0);
    sections.push(...described.map(section));
  }
  return [...groups]
    .map(([group, sections]) => `## ${group}\n\n${sections.join('\n\n')}`)
    .join('\n\n');
}

function section(command: Command): string {
  const { notes, examples } = helpOf(command);
  const own = command.options.filter(
    (option) => !option.hidden && !ENGINE_OPTIONS.has(option.attributeName()),
  );
  const takesEngine = command.options.some((option) => option.attributeName() === 'redis');
  const table = optionTable(own, argumentRows(command));
  const parts = [
    `### \`${pathOf(command)} ${usageOf(command)}\``,
    command.description(),
    ...(table === '' ? [] : [table]),
    ...(takesEngine ? ['It takes the [options of the engine](#options-of-the-engine), too.'] : []),
    ...notes.map(wrap),
    `\`\`\`sh\n${examples.join('\n')}\n\`\`\``,
  ];
  return parts.join('\n\n');
}

/** Lines as long as those of the other docs. */
function wrap(text: string): string {
  return text.replace(/(.{1,124})(?: |$)/g, '$1\n').trimEnd();
}

function usageOf(command: Command): string {
  const words = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return ['[options]', ...words].join(' ');
}

function argumentRows(command: Command): string[] {
  return command.registeredArguments.map(
    (argument) =>
      `| \`${argument.name()}\` | ${cell(withChoices(argument.description, argument.argChoices))} |`,
  );
}

function optionTable(options: Command['options'], first: readonly string[] = []): string {
  const rows = options.map((option) => {
    const notes = [
      ...(typeof option.defaultValue === 'string' || typeof option.defaultValue === 'number'
        ? [`default: ${option.defaultValue}`]
        : []),
      ...(option.envVar === undefined ? [] : [`\`${option.envVar}\``]),
    ];
    const text = withChoices(option.description, option.argChoices);
    const more = notes.length === 0 ? '' : ` (${notes.join('; ')})`;
    return `| \`${option.flags}\` | ${cell(text + more)} |`;
  });
  const all = [...first, ...rows];
  return all.length === 0 ? '' : ['| | |', '|---|---|', ...all].join('\n');
}

function withChoices(text: string, choices: readonly string[] | undefined): string {
  return choices === undefined ? text : `${text}: ${choices.join(', ')}`;
}

function environmentTable(program: Command): string {
  const rows = environmentOf(program).map(
    ({ name, meaning }) => `| \`${name}\` | ${cell(meaning)} |`,
  );
  return ['| variable | meaning |', '|---|---|', ...rows].join('\n');
}

/** A text as it may stand in a table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/<([\w=]+)>/g, '`<$1>`');
}
