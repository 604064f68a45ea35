import type { Command, Option } from 'commander';

import { pathOf } from '../define/definition.ts';
import { ARGUMENTS } from './arguments.ts';
import { startingWith, type Candidate, type Completion, type Line, type Names } from './line.ts';

/** Options that name files. */
const FILE_OPTION = /file|dir|glob|handlers|cwd|joblog|results|kubeconfig|authority/i;

/** Reads a command line as far as it is typed. Shells that part words at `=` are understood. */
export function readLine(program: Command, words: readonly string[]): Line {
  let command = program;
  let valueOf: Option | null = null;
  let isProgram = false;
  const positionals: string[] = [];
  const options: Record<string, string> = {};
  for (const word of words.slice(0, -1)) {
    if (word === '=') continue;
    if (valueOf !== null) {
      options[valueOf.attributeName()] = word;
      valueOf = null;
    } else if (word === '--') isProgram = true;
    else if (!isProgram && /^-./.test(word)) {
      const [flag = '', value] = word.split(/=(.*)/s);
      const option = optionOf(command, flag);
      if (option?.required !== true) continue;
      if (value === undefined) valueOf = option;
      else options[option.attributeName()] = value;
    } else {
      const child: Command | undefined =
        positionals.length === 0
          ? command.commands.find((other) => other.name() === word)
          : undefined;
      if (child !== undefined) command = child;
      else positionals.push(word);
      // What follows the program of `run` is the program's.
      if (child === undefined && command.name() === 'run') isProgram = true;
    }
  }
  const last = words.at(-1) ?? '';
  return { command, valueOf, isProgram, positionals, options, current: last === '=' ? '' : last };
}

/** What the word at the cursor may become. */
export async function complete(line: Line, names: Names): Promise<Completion> {
  const { command, current, valueOf, isProgram, positionals } = line;
  if (valueOf !== null) return startingWith(current, await valuesOf(valueOf, names));
  if (isProgram) return FILES;
  if (current.startsWith('-')) {
    const [flag = '', value] = current.split(/=(.*)/s);
    const option = value === undefined ? undefined : optionOf(command, flag);
    if (option === undefined) return startingWith(current, flagsOf(command));
    const values = startingWith(value ?? '', await valuesOf(option, names));
    const candidates = values.candidates.map((candidate) => ({
      ...candidate,
      value: `${flag}=${candidate.value}`,
    }));
    return { ...values, candidates };
  }
  if (command.commands.length > 0) {
    return positionals.length > 0 ? NOTHING : startingWith(current, subcommandsOf(command));
  }
  const path = pathOf(command).split(' ').slice(1).join(' ');
  const argument = ARGUMENTS[path];
  return argument === undefined ? NOTHING : await argument(line, names);
}

const FILES: Completion = { mode: 'files', candidates: [] };
const NOTHING: Completion = { mode: 'words', candidates: [] };

function optionOf(command: Command, flag: string): Option | undefined {
  return command.options.find(({ short, long }) => flag === short || flag === long);
}

function flagsOf(command: Command): Candidate[] {
  const visible = command.createHelp().visibleOptions(command);
  return visible.flatMap(({ long, short, description }) => {
    const value = long ?? short;
    return value === undefined || value === null ? [] : [{ value, text: description }];
  });
}

function subcommandsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((child) => ({ value: child.name(), text: child.description() }));
}

async function valuesOf(option: Option, names: Names): Promise<Completion> {
  const name = option.attributeName();
  if (option.argChoices !== undefined) {
    return { mode: 'words', candidates: option.argChoices.map((value) => ({ value, text: '' })) };
  }
  if (name === 'for') return { mode: 'words', candidates: CONDITIONS };
  if (name === 'runtime') return { mode: 'words', candidates: RUNTIMES };
  if (name === 'namespace') return { mode: 'words', candidates: await names.namespaces() };
  if (name === 'pool') return { mode: 'words', candidates: await names.pools() };
  return FILE_OPTION.test(name) ? FILES : NOTHING;
}

const CONDITIONS = ['complete', 'failed', 'finished', 'delete'].map((value) => ({
  value,
  text: '',
}));
const RUNTIMES = ['process', 'handler'].map((value) => ({ value, text: '' }));
