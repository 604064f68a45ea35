import type { Command } from 'commander';

import { complete, readLine } from '../completion/candidates.ts';
import { engineNames } from '../completion/names.ts';
import { SCRIPTS, type Shell } from '../completion/scripts.ts';
import { EXIT } from '../exitCodes.ts';

/** Prints what a shell has to run to complete command lines. */
export function completionCommand(shell: Shell): number {
  process.stdout.write(SCRIPTS[shell]);
  return EXIT.ok;
}

/**
 * Answers a shell: what the last of the words may become. The first line is a mode, each other one
 * a candidate, a tab and what it is.
 */
export async function completeCommand(program: Command, words: readonly string[]): Promise<number> {
  const line = readLine(program, words);
  const { mode, candidates } = await complete(line, engineNames(line.options));
  const lines = candidates.map(({ value, text }) => `${value}\t${text.replace(/\s+/g, ' ')}`);
  process.stdout.write(`${[`:${mode}`, ...lines].join('\n')}\n`);
  return EXIT.ok;
}
