import { Option } from 'commander';

import {
  durationOption,
  integerOption,
  withEngine,
  withLogLevel,
  withNamespace,
  type Problems,
} from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines `drover run`. */
export function defineRun({ program, finish }: Definition): void {
  // Told by the command: what the exit code says depends on what it is asked to do.
  const own: Problems = [];
  const command = program
    .command('run')
    .description('Run a program as a Job and follow it to its end.')
    .argument('[program...]', 'the program and its arguments; write -- before them')
    .passThroughOptions()
    .addOption(
      integerOption(own, '-c, --completions <count>', 'how many pods must succeed (default: 1)', {
        min: 0,
      }),
    )
    .addOption(
      integerOption(
        own,
        '-p, --parallelism <count>',
        'how many run at once (default: 1; with arguments one per CPU)',
        { min: 1 },
      ),
    )
    .option(
      '-j, --jobs <count>',
      'the same, also as a part of the CPUs: 50%, +1, -1; 0 = all at once',
    )
    .option('--indexed', 'give each pod its number, 0 and up, as $JOB_COMPLETION_INDEX')
    .option('--name <name>', 'name of the Job (default: made from the program)')
    .addOption(
      integerOption(
        own,
        '--retries <count>',
        'failures before the Job fails (backoffLimit); with arguments how often each is tried',
        { min: 0 },
      ),
    )
    .addOption(environmentOption(own))
    .addOption(
      durationOption(
        own,
        '--timeout <duration>',
        'fail the Job after this time; with arguments stop each run after it',
      ),
    )
    .option('--cwd <dir>', 'working directory of the program')
    .option('--pool <name>', 'pool of workers that may run it')
    .option('--shell', 'join the words and let sh run them (default for one word that needs it)')
    .option('--no-shell', 'never use a shell')
    .option('--no-output', "don't print what the pods print")
    .option('--bar', 'show progress, in a pipe too')
    .option('--no-bar', 'show no progress')
    .option('--dry-run', 'print the commands, run nothing')
    .option('--json', 'print the finished Job as JSON on standard output, and no pod output');
  for (const option of [...listOptions(), ...itemsOptions(own)]) command.addOption(option);
  withHelp(withLogLevel(withNamespace(withEngine(command)), 'warn'), {
    notes: [
      'The engine is --redis, $DROVER_REDIS_URL or a running `drover dev`; with none of them, one is started for as long as the Job runs. --retries is 0 for one completion and 6 for more.',
      'With arguments after `:::`, from --arg-file or from standard input the program is run once for each, as GNU parallel does: {} is the argument, {.} without its extension, {/} its base name, {//} its directory, {/.} the base name without extension, {#} its number, {1} that of the first `:::`. The exit code is the number of those that failed, 101 for more than 100. docs/run.md has it all.',
      'With --items the program is run for each item, which it reads from standard input, as `drover consume` gives it; a failed item is tried three times, or as often as --retries says. The exit code is 0 when all items were completed, and 1 when some failed for good. docs/run.md has that, too.',
      'The first Ctrl-C starts no further pods and lets the running ones end; the second deletes the Job.',
    ],
    examples: [
      "drover run -- perl -Mbignum=bpi -wle 'print bpi(1000)'",
      'drover run -- gzip -9 {} ::: *.log',
      "find . -name '*.png' | drover run -j 8 --joblog log 'convert {} {.}.jpg'",
      "drover run --completions 100 --parallelism 8 --indexed -- sh -c 'convert $JOB_COMPLETION_INDEX.png out/'",
      'drover run --items pages.ndjson -j 8 -- ./fetch-page',
      'drover run --completions 5 --env MODE=fast --timeout 10m -- node work.js',
    ],
  }).action(async (words: string[], options) => {
    const { runCommand } = await import('../commands/run.ts');
    finish(await runCommand(words, options, own));
  });
}

/** Options that make sense only with arguments. */
function listOptions(): Option[] {
  return [
    new Option(
      '-a, --arg-file <path>',
      'arguments, one a line; - is standard input; may repeat',
    ).argParser((path: string, previous: string[] | undefined) => [...(previous ?? []), path]),
    new Option('-0, --null', 'arguments end with a NUL byte, as find -print0 writes them'),
    new Option('-k, --keep-order', 'print in the order of the arguments'),
    new Option('--tag', 'begin each line of output with its argument'),
    new Option('--tagstring <text>', 'begin each line of output with this text, {} replaced'),
    new Option('--line-buffer', 'print line by line while programs run'),
    new Option('--joblog <path>', 'write a line for each run: times, exit code, command'),
    new Option('--resume', 'leave out what is in the job log'),
    new Option('--resume-failed', 'leave out what is in the job log, but run again what failed'),
    new Option('--halt <rule>', 'when to end early: now|soon,fail|success|done=COUNT or PERCENT%'),
    new Option('--results <dir>', 'write the output of each run to files in this directory'),
  ];
}

/** Options that make sense only with items. */
function itemsOptions(problems: Problems): Option[] {
  return [
    new Option(
      '--items <path>',
      'run the program for each item of a file, JSON on each line; - is standard input; may repeat',
    ).argParser((path: string, previous: string[] | undefined) => [...(previous ?? []), path]),
    new Option('--lines', 'each line is an item, as a text'),
    new Option('--skip-invalid', 'pass over lines that are no items, and tell them'),
    integerOption(problems, '--batch <count>', 'give each run up to so many items, one a line', {
      min: 1,
      max: 1_000,
    }),
    new Option(
      '--stream',
      'give each program one item after the other, which it answers with a line',
    ),
    new Option('--result', 'print what the program prints for each item as NDJSON'),
    new Option('--keep', 'let the work queue stay at the end, with results and failed items'),
  ];
}

/** NAME=VALUE, or NAME for the value that it has here. */
function environmentOption(problems: Problems): Option {
  const description = 'environment, or NAME for the value it has here; may repeat';
  return new Option('-e, --env <NAME=VALUE>', description).argParser(
    (text: string, previous: Record<string, string> | undefined) => {
      const equals = text.indexOf('=');
      const name = equals === -1 ? text : text.slice(0, equals);
      const value = equals === -1 ? process.env[name] : text.slice(equals + 1);
      if (name === '') problems.push(`--env ${text}: NAME=VALUE is expected`);
      else if (value === undefined) {
        problems.push(`--env ${text}: NAME=VALUE is expected, and there is no ${name} here`);
      }
      return { ...previous, [name]: value ?? '' };
    },
  );
}
