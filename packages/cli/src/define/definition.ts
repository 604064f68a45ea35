import type { Command } from 'commander';

import type { Problems } from '../options.ts';
import { wrap } from '../text/wrap.ts';

/** What a command is defined with. */
export interface Definition {
  readonly program: Command;
  /** Gathers what is wrong with the values of options. */
  readonly problems: Problems;
  /** Takes the exit code of a command that came to its end. */
  readonly finish: (exitCode: number) => void;
}

/** What a command's help says below its options. */
export interface CommandHelp {
  /** Paragraphs, each one text; wrapped where they are shown. */
  readonly notes: readonly string[];
  /** Command lines as one would type them. */
  readonly examples: readonly string[];
}

const HELP = new WeakMap<Command, CommandHelp>();

/** The help of a command, as {@link withHelp} gave it; docs/cli.md is made from it. */
export function helpOf(command: Command): CommandHelp {
  return HELP.get(command) ?? { notes: [], examples: [] };
}

/** Lines of help are no longer than this. */
const HELP_COLUMNS = 100;

/** Adds notes and examples below the options, and points to this help when arguments are wrong. */
export function withHelp(command: Command, help: CommandHelp): Command {
  HELP.set(command, help);
  const notes = help.notes.map((note) => `\n${wrap(note, HELP_COLUMNS).join('\n')}\n`).join('');
  const examples = help.examples.map((line) => `  ${line.replaceAll('\n', '\n  ')}`).join('\n');
  return command
    .showHelpAfterError(`(\`${pathOf(command)} --help\` shows how)`)
    .addHelpText(
      'after',
      `${notes}\n${help.examples.length > 1 ? 'Examples' : 'Example'}:\n${examples}`,
    );
}

/** `drover config view`. */
export function pathOf(command: Command): string {
  const { parent } = command;
  return parent === null ? command.name() : `${pathOf(parent)} ${command.name()}`;
}
