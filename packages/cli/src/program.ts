import { inspect } from 'node:util';

import { Command, CommanderError, Option } from 'commander';

import { badInput, reportError, type ErrorReport } from './errors.ts';
import { EXIT } from './exitCodes.ts';
import {
  assignmentsOption,
  durationOption,
  integerOption,
  listOption,
  withEngine,
  withLogLevel,
  withNamespace,
  type Problems,
} from './options.ts';
import { coloursFor } from './text/colours.ts';
import { readVersion } from './version.ts';

/**
 * Reads the arguments and runs the command they name.
 *
 * @param args - Arguments without node and script.
 * @returns The exit code; errors have been printed.
 */
export async function runCli(args: readonly string[]): Promise<number> {
  const problems: Problems = [];
  let exitCode: number = EXIT.ok;
  const program = buildProgram(problems, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its own message; help and version are no error.
      return error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
    }
    printError(reportError(error));
    if (process.env['DROVER_DEBUG'] !== undefined) process.stderr.write(`${inspect(error)}\n`);
    return reportError(error).exitCode;
  }
}

function printError({ lines }: ErrorReport): void {
  const colours = coloursFor(process.stderr);
  const [first = '', ...rest] = lines;
  process.stderr.write(`${colours.red('error:')} ${first}\n`);
  for (const line of rest) process.stderr.write(`${line}\n`);
}

type Finish = (exitCode: number) => void;

/** The commands are loaded when they run: `drover --help` must not wait for BullMQ. */
function buildProgram(problems: Problems, finish: Finish): Command {
  const program = new Command('drover')
    .description('Kubernetes Jobs without Kubernetes, on Redis and BullMQ.')
    .version(readVersion(), '-V, --version')
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError('(`drover --help` shows how)')
    .hook('preAction', () => {
      if (problems.length > 0) throw badInput(problems[0] ?? '', problems.slice(1));
    })
    .addHelpText('after', MAIN_EXAMPLES);

  addRun(program, problems, finish);
  addApply(program, finish);
  addGet(program, problems, finish);
  addLogs(program, problems, finish);
  addWait(program, problems, finish);
  addSuspendResume(program, finish);
  addDelete(program, finish);
  addDev(program, problems, finish);
  addController(program, problems, finish);
  addWorker(program, problems, finish);
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

function addRun(program: Command, problems: Problems, finish: Finish): void {
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
  withLogLevel(withNamespace(withEngine(command)), 'warn')
    .addHelpText('after', RUN_HELP)
    .action(async (words: string[], options) => {
      const { runCommand } = await import('./commands/run.ts');
      finish(await runCommand(words, options));
    });
}

const RUN_HELP = `
The engine is --redis, $DROVER_REDIS_URL or a running \`drover dev\`; with none of them, one is
started for as long as the Job runs. The first Ctrl-C starts no further pods and lets the running
ones end; the second deletes the Job. --retries is 0 for one completion and 6 for more.

Examples:
  drover run -- perl -Mbignum=bpi -wle 'print bpi(1000)'
  drover run --completions 100 --parallelism 8 --indexed -- sh -c 'convert $JOB_COMPLETION_INDEX.png out/'
  drover run --completions 5 --env MODE=fast --timeout 10m -- node work.js`;

function addApply(program: Command, finish: Finish): void {
  const command = program
    .command('apply')
    .description('Create the Jobs of a manifest, or bring existing ones in line with it.')
    .addOption(
      listOption(
        '-f, --filename <path>',
        'YAML or JSON file, directory or -',
      ).makeOptionMandatory(),
    )
    .option('--dry-run', 'check everything and change nothing')
    .addOption(outputOption(['name', 'json', 'yaml']));
  withNamespace(withEngine(command))
    .addHelpText(
      'after',
      `
All documents are checked before any is written.

Examples:
  drover apply -f pi.yaml
  cat *.yaml | drover apply -f -`,
    )
    .action(async (options) => {
      const { applyCommand } = await import('./commands/apply.ts');
      finish(await applyCommand(options));
    });
}

function outputOption(choices: readonly string[]): Option {
  return new Option('-o, --output <format>', 'how to print').choices(choices);
}

function addGet(program: Command, problems: Problems, finish: Finish): void {
  const command = program
    .command('get')
    .description('List jobs, pods or nodes.')
    .argument('<what>', 'jobs, pods, nodes, several with commas, or job/NAME')
    .argument('[names...]', 'only these')
    .option('-l, --selector <selector>', 'only those with these labels')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('-w, --watch', 'go on and print what changes')
    .option('--no-headers', 'no header line')
    .option('--show-labels', 'print the labels too')
    .addOption(integerOption(problems, '--limit <count>', 'at most so many', { min: 1 }))
    .addOption(outputOption(['json', 'yaml', 'wide', 'name']));
  withNamespace(withEngine(command))
    .addHelpText(
      'after',
      `
Examples:
  drover get jobs
  drover get pods -l job-name=pi -o wide
  drover get job/pi -o yaml
  drover get jobs -w`,
    )
    .action(async (what: string, names: string[], options) => {
      const { getCommand } = await import('./commands/get.ts');
      finish(await getCommand(what, names, options));
    });
}

function addLogs(program: Command, problems: Problems, finish: Finish): void {
  const command = program
    .command('logs')
    .description('Print what a pod wrote.')
    .argument('<what>', 'a pod, pod/NAME or job/NAME')
    .option('-f, --follow', 'go on until the pod ends')
    .addOption(integerOption(problems, '--tail <lines>', 'only the last lines', { min: 0 }))
    .addOption(durationOption(problems, '--since <duration>', 'only what is younger'))
    .option('--timestamps', 'a time before each line')
    .option('--all-pods', 'of all pods of the Job, each line with its pod');
  withNamespace(withEngine(command))
    .addHelpText(
      'after',
      `
Examples:
  drover logs job/pi
  drover logs -f --tail 20 pi-x7k2p
  drover logs job/indexed --all-pods`,
    )
    .action(async (what: string, options) => {
      const { logsCommand } = await import('./commands/logs.ts');
      finish(await logsCommand(what, options));
    });
}

function addWait(program: Command, problems: Problems, finish: Finish): void {
  const command = program
    .command('wait')
    .description('Wait until Jobs are complete, failed or finished.')
    .argument('[jobs...]', 'job/NAME or NAME')
    .addOption(
      new Option(
        '--for <condition>',
        'complete, failed, finished (one of the two) or delete; condition=complete as kubectl',
      ).default('finished'),
    )
    .option('-l, --selector <selector>', 'those with these labels')
    .addOption(durationOption(problems, '--timeout <duration>', 'give up after this time'));
  withNamespace(withEngine(command))
    .addHelpText(
      'after',
      `
Exits with 0 when the condition holds, 1 when it can not hold any more, 124 after the timeout.

Examples:
  drover wait job/pi --for complete --timeout 60s
  drover wait -l app=resize --for finished`,
    )
    .action(async (names: string[], options) => {
      const { waitCommand } = await import('./commands/wait.ts');
      finish(await waitCommand(names, options));
    });
}

function addSuspendResume(program: Command, finish: Finish): void {
  for (const verb of ['suspend', 'resume'] as const) {
    const command = program
      .command(verb)
      .description(
        verb === 'suspend'
          ? 'Stop the pods of Jobs and start no new ones until they are resumed.'
          : 'Let suspended Jobs go on.',
      )
      .argument('<jobs...>', 'job/NAME or NAME');
    withNamespace(withEngine(command)).action(async (names: string[], options) => {
      const { suspendCommand } = await import('./commands/suspend.ts');
      finish(await suspendCommand(verb, names, options));
    });
  }
}

function addDelete(program: Command, finish: Finish): void {
  const command = program
    .command('delete')
    .description('Delete Jobs with their pods, or single pods.')
    .argument('[things...]', 'job/NAME, pod/NAME, or `job NAME...`')
    .addOption(listOption('-f, --filename <path>', 'the Jobs of a manifest'))
    .option('-l, --selector <selector>', 'those with these labels')
    .option('--all', 'all of the namespace')
    .option('--ignore-not-found', 'no error when there is none');
  withNamespace(withEngine(command))
    .addHelpText(
      'after',
      `
Running pods get SIGTERM, and SIGKILL after their grace period.

Examples:
  drover delete job/pi
  drover delete -f pi.yaml
  drover delete jobs -l app=resize`,
    )
    .action(async (things: string[], options) => {
      const { deleteCommand } = await import('./commands/delete.ts');
      finish(await deleteCommand(things, options));
    });
}

function addBackoff(command: Command, problems: Problems): Command {
  return command
    .addOption(
      durationOption(
        problems,
        '--backoff-base <duration>',
        'wait before the first retry of a failed pod (default: 10s); it doubles each time',
      ).env('DROVER_BACKOFF_BASE'),
    )
    .addOption(
      durationOption(problems, '--backoff-cap <duration>', 'longest such wait (default: 10m)').env(
        'DROVER_BACKOFF_CAP',
      ),
    );
}

function addDev(program: Command, problems: Problems, finish: Finish): void {
  const command = program
    .command('dev')
    .description('Run an engine on this machine: a private Redis, a controller and workers.')
    .option('--data-dir <dir>', 'where its data is (default: ~/.local/state/drover/dev)')
    .addOption(
      integerOption(problems, '--port <port>', 'TCP port of its Redis (default: 6390 if free)', {
        min: 1,
        max: 65_535,
      }),
    )
    .addOption(
      integerOption(problems, '--workers <count>', 'worker processes', { min: 0, max: 64 }).default(
        1,
      ),
    );
  addWorkerOptions(addBackoff(command, problems), problems);
  withLogLevel(command)
    .addHelpText(
      'after',
      `
Other commands of the same user find it without any option. Ctrl-C ends it; its Jobs stay in the
data directory and go on with the next start.

Examples:
  drover dev
  drover dev --handlers handlers.ts --workers 2`,
    )
    .action(async (options) => {
      const { devCommand } = await import('./commands/dev.ts');
      finish(await devCommand(options));
    });
}

function addWorkerOptions(command: Command, problems: Problems): void {
  command
    .addOption(
      listOption('--handlers <file>', 'module with defineHandler(...) exports; may repeat'),
    )
    .addOption(
      integerOption(
        problems,
        '--max-pods <count>',
        'pods at once, per runtime (default: 50 for handlers, one per CPU for processes)',
        { min: 1, max: 10_000 },
      ).env('DROVER_MAX_PODS'),
    )
    .addOption(
      listOption(
        '--runtime <name>',
        'process, handler (default: process, and handler with --handlers)',
      ).env('DROVER_RUNTIME'),
    );
}

function addController(program: Command, problems: Problems, finish: Finish): void {
  const command = program
    .command('controller')
    .description('Run a controller: it starts, counts and ends pods. Any number may run.');
  withLogLevel(withEngine(addBackoff(command, problems))).action(async (options) => {
    const { controllerCommand } = await import('./commands/controller.ts');
    finish(await controllerCommand(options));
  });
}

function addWorker(program: Command, problems: Problems, finish: Finish): void {
  const command = program
    .command('worker')
    .description('Run a worker: it runs pods, as processes or as handlers.')
    .addOption(new Option('--pool <name>', 'its pool').default('default').env('DROVER_POOL'))
    .option('--name <name>', 'its name among the nodes (default: made from the host name)');
  addWorkerOptions(command, problems);
  command.addOption(new Option('--supervised').hideHelp());
  withLogLevel(withEngine(command))
    .addHelpText(
      'after',
      `
SIGTERM or Ctrl-C: no new pods; those that end within their grace period are reported, the rest are
stopped and run elsewhere. A second one ends it at once.

Examples:
  drover worker --max-pods 4
  drover worker --handlers handlers.ts --pool gpu`,
    )
    .action(async (options) => {
      const { workerCommand } = await import('./commands/worker.ts');
      finish(await workerCommand(options));
    });
}
