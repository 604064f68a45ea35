import type { Command, Option } from 'commander';

import { TLS_PARAMETERS, tlsVariable } from '../engine/tlsFiles.ts';
import { pathOf } from './definition.ts';

/** An environment variable that Drover reads. */
export interface Variable {
  readonly name: string;
  /** What it means. */
  readonly meaning: string;
  /** The option that it stands for, without dashes. */
  readonly option?: string;
}

/** Variables that stand for no option. */
const OWN_VARIABLES: readonly Variable[] = [
  { name: 'DROVER_REDIS_URL', meaning: 'where Redis is, when no option says it' },
  {
    name: 'DROVER_REDIS_PASSWORD_FILE',
    meaning: 'as `--redis-password-file`, for an address that does not come of `drover dev`',
  },
  ...TLS_PARAMETERS.map((parameter) => ({
    name: tlsVariable(parameter),
    meaning: `as \`--redis-${parameter}\`, for an address that does not come of \`drover dev\``,
  })),
  {
    name: 'DROVER_SERVER',
    meaning:
      'as `--server`, for commands about objects; together with `DROVER_REDIS_URL` it is refused',
  },
  { name: 'DROVER_TOKEN', meaning: 'the token for that API server' },
  { name: 'DROVER_TOKEN_FILE', meaning: 'as `--token-file`' },
  { name: 'DROVER_CERTIFICATE_AUTHORITY', meaning: 'as `--certificate-authority`' },
  {
    name: 'DROVER_SECRET_KEY_FILE',
    meaning: 'as `--secret-key-file`, for an engine that does not come of `drover dev`',
  },
  {
    name: 'DROVER_REDIS_SERVER',
    meaning: 'the redis-server program that `dev` and `run` start; default: from PATH',
  },
  {
    name: 'DROVER_PROCESS_HELPER',
    meaning: 'what starts the programs of a worker: `native`, `javascript`, or `auto` (default)',
  },
  {
    name: 'DROVER_ITEMS_SOCKET',
    meaning: 'where a pod gets its items; its worker sets it (docs/work-queues.md)',
  },
  { name: 'DROVER_DEBUG', meaning: 'set: errors with their origin' },
  { name: 'NO_COLOR', meaning: 'set: no colours' },
  { name: 'FORCE_COLOR', meaning: 'set to anything but 0: colours in a pipe, too' },
  { name: 'XDG_STATE_HOME', meaning: 'where `drover/dev.json` and the data of `drover dev` are' },
];

/** Every variable that Drover reads: its own, and those that stand for options. */
export function environmentOf(program: Command): Variable[] {
  const commandsOf = new Map<string, { option: Option; commands: string[] }>();
  for (const command of allCommands(program)) {
    for (const option of command.options) {
      if (option.envVar === undefined) continue;
      const entry = commandsOf.get(option.envVar) ?? { option, commands: [] };
      entry.commands.push(pathOf(command).replace(/^\w+ /, ''));
      commandsOf.set(option.envVar, entry);
    }
  }
  const bound = [...commandsOf].map(([name, { option, commands }]) => ({
    name,
    option: option.name(),
    meaning: `as \`${option.long ?? option.flags}\`${commands.length > 3 ? '' : ` of ${commands.join(', ')}`}`,
  }));
  return [...OWN_VARIABLES, ...bound];
}

/** A command with all below it. */
export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}
