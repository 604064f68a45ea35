import {
  assignmentsOption,
  durationOption,
  integerOption,
  withEngine,
  withLogLevel,
  withNamespace,
} from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines `drover run`. */
export function defineRun({ program, problems, finish }: Definition): void {
  const command = program
    .command('run')
    .description('Run a program as a Job and follow it to its end.')
    .argument('<program...>', 'the program and its arguments; write -- before them')
    .passThroughOptions()
    .addOption(
      integerOption(problems, '-c, --completions <count>', 'how many pods must succeed', {
        min: 0,
      }).default(1),
    )
    .addOption(
      integerOption(problems, '-p, --parallelism <count>', 'how many run at once', {
        min: 1,
      }).default(1),
    )
    .option('--indexed', 'give each pod its number, 0 and up, as $JOB_COMPLETION_INDEX')
    .option('--name <name>', 'name of the Job (default: made from the program)')
    .addOption(
      integerOption(problems, '--retries <count>', 'failures before the Job fails (backoffLimit)', {
        min: 0,
      }),
    )
    .addOption(assignmentsOption(problems, '-e, --env <NAME=VALUE>', 'environment; may repeat'))
    .addOption(durationOption(problems, '--timeout <duration>', 'fail the Job after this time'))
    .option('--cwd <dir>', 'working directory of the program')
    .option('--pool <name>', 'pool of workers that may run it')
    .option('--no-output', "don't print what the pods print")
    .option('--json', 'print the finished Job as JSON on standard output, and no pod output');
  withHelp(withLogLevel(withNamespace(withEngine(command)), 'warn'), {
    notes: [
      'The engine is --redis, $DROVER_REDIS_URL or a running `drover dev`; with none of them, one is started for as long as the Job runs. --retries is 0 for one completion and 6 for more.',
      'The first Ctrl-C starts no further pods and lets the running ones end; the second deletes the Job.',
    ],
    examples: [
      "drover run -- perl -Mbignum=bpi -wle 'print bpi(1000)'",
      "drover run --completions 100 --parallelism 8 --indexed -- sh -c 'convert $JOB_COMPLETION_INDEX.png out/'",
      'drover run --completions 5 --env MODE=fast --timeout 10m -- node work.js',
    ],
  }).action(async (words: string[], options) => {
    const { runCommand } = await import('../commands/run.ts');
    finish(await runCommand(words, options));
  });
}
