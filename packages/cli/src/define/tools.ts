import { Argument } from 'commander';

import { SHELLS, type Shell } from '../completion/scripts.ts';
import { withEngine, withNamespace } from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines the commands that show how things are, and those about the command itself. */
export function defineTools(definition: Definition): void {
  defineTop(definition);
  defineDoctor(definition);
  defineMigrate(definition);
  defineExplain(definition);
  defineCompletion(definition);
  defineConfig(definition);
}

function defineTop({ program, finish }: Definition): void {
  const command = program
    .command('top')
    .description('Show Jobs, workers and rates as they change.')
    .option('-A, --all-namespaces', 'of all namespaces; so it is without -n, too')
    .option('--once', 'print one look and end; so it is in a pipe, too')
    .option('--json', 'print one look as JSON');
  withHelp(withNamespace(withEngine(command)), {
    notes: [
      'On a terminal it is a live screen; q or Ctrl-C ends it, arrows scroll. Jobs are watched, the workers are looked at once a second. RATE is how many pods ended per second in the last 15 seconds; in one look (--once, --json, a pipe) since the Job began.',
    ],
    examples: ['drover top', "drover top --json | jq '.jobs[] | {name, succeeded, perSecond}'"],
  }).action(async (options) => {
    const { topCommand } = await import('../commands/top.ts');
    finish(await topCommand(options));
  });
}

function defineDoctor({ program, finish }: Definition): void {
  const command = program
    .command('doctor')
    .description('Look at Redis and what Drover has in it, and say what is wrong and what to do.')
    .option('--quick', 'leave out the look at each key')
    .option('--json', 'as JSON');
  withHelp(withEngine(command), {
    notes: [
      'Of Redis: version, role, eviction, memory, persistence, connections, latency and clock. Of Drover: whether controllers and workers run and keep up, Jobs that wait for a worker or that nobody will look at, and keys that belong to nothing. Nothing is changed.',
      'Exits with 0 when there is no problem (warnings are none), with 1 when there is one, with 3 when Redis can not be reached.',
    ],
    examples: [
      'drover doctor',
      'drover doctor --quick --json | jq \'.findings[] | select(.level != "ok")\'',
    ],
  }).action(async (options) => {
    const { doctorCommand } = await import('../commands/doctor.ts');
    finish(await doctorCommand(options));
  });
}

function defineMigrate({ program, finish }: Definition): void {
  const command = program
    .command('migrate')
    .description('Give the keys in Redis that an older version wrote the layout of this version.')
    .option('--dry-run', 'say what would be done, and who has to end first');
  withHelp(withEngine(command), {
    notes: [
      'Stop all controllers, workers and API servers of the older version first, and the programs that submit Jobs; pods that run are handed over as with any stop. It refuses as long as controllers or workers run. From its beginning on no version can start, until it has ended. One that was interrupted is gone on with by calling it again.',
      'There is no way back but a backup from before it.',
      'Exits with 0 when the keys have the layout of this version (with --dry-run: when it could begin), with 1 when somebody runs, with 3 when Redis can not be reached or the keys have a layout that nothing leads from.',
    ],
    examples: ['drover migrate --dry-run', 'drover migrate'],
  }).action(async (options) => {
    const { migrateCommand } = await import('../commands/migrate.ts');
    finish(await migrateCommand(options));
  });
}

function defineExplain({ program, finish }: Definition): void {
  const command = program
    .command('explain')
    .description('Say what a field of a manifest means, and what Drover makes of it.')
    .argument(
      '<field>',
      'job, cronjob, pod, node, configmap, secret or workqueue, and the path of a field',
    )
    .option('-r, --recursive', 'list all that is below it')
    .option('--json', 'as JSON');
  withHelp(command, {
    notes: [
      'Fields are honoured (they mean what they mean in Kubernetes), inert (kept and shown, without effect) or refused. No engine is needed.',
    ],
    examples: [
      'drover explain job.spec.backoffLimit',
      'drover explain job.spec.template.spec.containers',
      'drover explain job.spec --recursive',
      'drover explain workqueue.spec',
    ],
  }).action(async (field: string, options) => {
    const { explainCommand } = await import('../commands/explain.ts');
    finish(explainCommand(field, options));
  });
}

function defineCompletion({ program, finish }: Definition): void {
  const command = program
    .command('completion')
    .description('Print the script that lets a shell complete command lines.')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS));
  withHelp(command, {
    notes: [
      'It completes commands, options, and the names of Jobs, CronJobs, pods, workers, ConfigMaps, Secrets, work queues, namespaces and fields; these come from the engine that the line is about.',
    ],
    examples: [
      'source <(drover completion bash)',
      'source <(drover completion zsh)',
      'drover completion fish > ~/.config/fish/completions/drover.fish',
    ],
  }).action(async (shell: Shell) => {
    const { completionCommand } = await import('../commands/completion.ts');
    finish(completionCommand(shell));
  });
}

function defineConfig({ program, finish }: Definition): void {
  const config = program.command('config').description('Show how this command is set up.');
  withHelp(config, { notes: [], examples: ['drover config view'] });
  const view = config
    .command('view')
    .description('Show every setting, its value and where that comes from.')
    .option('--json', 'as JSON');
  withHelp(withNamespace(withEngine(view)), {
    notes: [
      'Options come before the environment, that before a running `drover dev`, that before defaults. Passwords are not shown; Redis is not asked. A variable DROVER_... that means nothing is told: it may be misspelt.',
    ],
    examples: [
      'drover config view',
      'drover config view --redis-file /run/secrets/redis-url --json',
    ],
  }).action(async (options) => {
    const { configViewCommand } = await import('../commands/config.ts');
    finish(await configViewCommand(view, options));
  });
}
