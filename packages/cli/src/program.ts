import { inspect } from 'node:util';

import { Command, CommanderError } from 'commander';

import { defineAcl } from './define/acl.ts';
import { defineCron } from './define/cron.ts';
import type { Definition } from './define/definition.ts';
import { defineObjects } from './define/objects.ts';
import { defineQueues } from './define/queues.ts';
import { defineRun } from './define/run.ts';
import { defineSecretKey } from './define/secretKey.ts';
import { defineServices } from './define/services.ts';
import { defineToken } from './define/token.ts';
import { defineTools } from './define/tools.ts';
import { badInput, reportError, type ErrorReport } from './errors.ts';
import { EXIT } from './exitCodes.ts';
import type { Problems } from './options.ts';
import { coloursFor } from './text/colours.ts';
import { readVersion } from './version.ts';

/**
 * Reads the arguments and runs the command they name.
 *
 * @param args - Arguments without node and script.
 * @returns The exit code; errors have been printed.
 */
export async function runCli(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    if (args[0] === COMPLETE && args[1] === '--') return await answerShell(program, args.slice(2));
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its own message; help and version are no error.
      return error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
    }
    printError(reportError(error));
    if (process.env['DROVER_DEBUG'] !== undefined) {
      const { errorForLog } = await import('@drover/shared');
      process.stderr.write(`${inspect(errorForLog(error), { depth: 6 })}\n`);
    }
    return reportError(error).exitCode;
  }
}

/** Asked by the scripts of `drover completion`; no command, since the words are of another one. */
const COMPLETE = '__complete';

async function answerShell(program: Command, words: readonly string[]): Promise<number> {
  const { completeCommand } = await import('./commands/completion.ts');
  return await completeCommand(program, words);
}

function printError({ lines }: ErrorReport): void {
  const colours = coloursFor(process.stderr);
  const [first = '', ...rest] = lines;
  process.stderr.write(`${colours.red('error:')} ${first}\n`);
  for (const line of rest) process.stderr.write(`${line}\n`);
}

/**
 * Defines all commands. What they do is loaded when they run: `drover --help` must not wait for
 * BullMQ.
 *
 * @param finish - Takes the exit code of the command that ran.
 */
export function buildProgram(finish: Definition['finish']): Command {
  const problems: Problems = [];
  const program = new Command('drover')
    .description('Kubernetes Jobs without Kubernetes, on Redis and BullMQ.')
    .version(readVersion(), '-V, --version')
    .enablePositionalOptions()
    // Their arguments are told by their own help.
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .exitOverride()
    .showHelpAfterError('(`drover --help` shows how)')
    .hook('preAction', () => {
      if (problems.length > 0) throw badInput(problems[0] ?? '', problems.slice(1));
    })
    .addHelpText('after', MAIN_EXAMPLES);

  const definition: Definition = { program, problems, finish };
  program.commandsGroup('Jobs, pods and nodes:');
  defineRun(definition);
  defineObjects(definition);
  defineCron(definition);
  program.commandsGroup('Work queues:');
  defineQueues(definition);
  program.commandsGroup('Looking and finding out:');
  defineTools(definition);
  program.commandsGroup('Services:');
  defineServices(definition);
  defineSecretKey(definition);
  defineToken(definition);
  defineAcl(definition);
  return program;
}

const MAIN_EXAMPLES = `
Examples:
  drover run -- echo hello                         run a program as a Job, here and now
  drover run --completions 100 --parallelism 8 --indexed -- ./resize.sh
  drover dev                                       an engine on this machine
  drover apply -f pi.yaml && drover wait job/pi --for complete && drover logs job/pi

Exit codes:
  0 done   1 the Job failed   2 bad input   3 no Redis   124 timeout   130 Ctrl-C`;
