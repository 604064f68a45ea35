import { Option } from 'commander';

import {
  durationOption,
  integerOption,
  listOption,
  withEngineOrServer,
  withNamespace,
  withSecretKey,
} from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines the commands that read and write objects. */
export function defineObjects(definition: Definition): void {
  defineApply(definition);
  defineGet(definition);
  defineDescribe(definition);
  defineEvents(definition);
  defineLogs(definition);
  defineWait(definition);
  defineScale(definition);
  defineSuspendResume(definition);
  defineDelete(definition);
}

function outputOption(choices: readonly string[]): Option {
  return new Option('-o, --output <format>', 'how to print').choices(choices);
}

function defineApply({ program, problems, finish }: Definition): void {
  const command = program
    .command('apply')
    .description('Create the objects of a manifest, or bring existing ones in line with it.')
    .addOption(
      listOption(
        '-f, --filename <path>',
        'YAML or JSON file, directory or -; may repeat',
      ).makeOptionMandatory(),
    )
    .option('--dry-run', 'check everything and change nothing')
    .addOption(
      integerOption(
        problems,
        '--replicas <count>',
        'wait until so many replicas of Redis have each Job, so that a failover does not lose it',
        { min: 1 },
      ),
    )
    .addOption(
      durationOption(
        problems,
        '--replicas-timeout <duration>',
        'how long to wait for them; then it fails, and what was created stays (default: 1s)',
      ),
    )
    .addOption(outputOption(['name', 'json', 'yaml']));
  withHelp(withNamespace(withSecretKey(withEngineOrServer(command))), {
    notes: [
      'Objects are Jobs, CronJobs, ConfigMaps, Secrets, ResourceQuotas and PriorityClasses.',
      'Prints `created`, `configured` or `unchanged`. All documents are checked before any is written, against what is stored too; problems come with file, line and column. As with `kubectl apply`, what the last manifest said and this one does not is removed, and what others set stays.',
    ],
    examples: ['drover apply -f pi.yaml', 'cat *.yaml | drover apply -f -'],
  }).action(async (options) => {
    const { applyCommand } = await import('../commands/apply.ts');
    finish(await applyCommand(options));
  });
}

function defineGet({ program, problems, finish }: Definition): void {
  const command = program
    .command('get')
    .description(
      'List jobs, cronjobs, pods, nodes, configmaps, secrets, resourcequotas or priorityclasses.',
    )
    .argument(
      '<what>',
      'jobs, cronjobs (cj), pods, nodes, configmaps (cm), secrets, resourcequotas (quota), priorityclasses (pc), several with commas, or job/NAME',
    )
    .argument('[names...]', 'only these')
    .option('-l, --selector <selector>', 'only those with these labels')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('-w, --watch', 'go on and print what changes')
    .option('--no-headers', 'no header line')
    .option('--show-labels', 'print the labels too')
    .addOption(integerOption(problems, '--limit <count>', 'at most so many', { min: 1 }))
    .addOption(outputOption(['json', 'yaml', 'wide', 'name']));
  withHelp(withNamespace(withSecretKey(withEngineOrServer(command))), {
    notes: [
      "Prints kubectl's columns. What keeps Jobs and pods from running, where somebody has to do something, is said in words on standard error: no worker fits, no controller is there.",
    ],
    examples: [
      'drover get jobs',
      'drover get pods -l job-name=pi -o wide',
      'drover get job/pi -o yaml',
      'drover get jobs -w',
      'drover get secret/login -o yaml',
    ],
  }).action(async (what: string, names: string[], options) => {
    const { getCommand } = await import('../commands/get.ts');
    finish(await getCommand(what, names, options));
  });
}

function defineDescribe({ program, finish }: Definition): void {
  const command = program
    .command('describe')
    .description(
      'Tell all about Jobs, CronJobs, pods or nodes: how they stand, what happened, why they wait. And what is in ConfigMaps and Secrets, and what is taken of ResourceQuotas.',
    )
    .argument('<what>', 'job/NAME, pod/NAME, node/NAME and the like, or jobs, pods, nodes, ...')
    .argument('[names...]', 'only these')
    .option('-l, --selector <selector>', 'only those with these labels')
    .option('--json', 'as JSON: the object, why it waits, the events');
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      'The layout is that of `kubectl describe`. Events are kept for an hour; the same thing several times is one line with its number, as are failures of one kind. Of a Job with more than 1,000 pods the newest 1,000 are looked at. Of a Secret the sizes of its values are told, not the values.',
    ],
    examples: [
      'drover describe job/pi',
      'drover describe cronjob/nightly',
      'drover describe pod pi-x7k2p',
      'drover describe nodes',
      'drover describe jobs -l app=resize',
    ],
  }).action(async (what: string, names: string[], options) => {
    const { describeCommand } = await import('../commands/describe.ts');
    finish(await describeCommand([what, ...names], options));
  });
}

function defineEvents({ program, finish }: Definition): void {
  const command = program
    .command('events')
    .description('Tell what happened to Jobs and pods in the last hour.')
    .option('--for <what>', 'only to this object: job/NAME, pod/NAME, node/NAME')
    .addOption(
      new Option('--types <type>', 'only events of this type').choices(['Normal', 'Warning']),
    )
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('-w, --watch', 'go on and print what happens')
    .option('--no-headers', 'no header line')
    .addOption(outputOption(['json', 'yaml']));
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      "The columns are those of `kubectl events`; what happened last is last. The same thing several times is one event with its number. Of a Job's pods only the first nine are told of one by one, and those that fail.",
    ],
    examples: ['drover events', 'drover events --for job/pi', 'drover events -w --types Warning'],
  }).action(async (options) => {
    const { eventsCommand } = await import('../commands/events.ts');
    finish(await eventsCommand(options));
  });
}

function defineLogs({ program, problems, finish }: Definition): void {
  const command = program
    .command('logs')
    .description('Print what a pod wrote.')
    .argument('<what>', 'a pod, pod/NAME or job/NAME')
    .option('-f, --follow', 'go on until the pod ends')
    .addOption(integerOption(problems, '--tail <lines>', 'only the last lines', { min: 0 }))
    .addOption(durationOption(problems, '--since <duration>', 'only what is younger'))
    .option('--timestamps', 'a time before each line')
    .option('--all-pods', 'of all pods of the Job, each line with its pod')
    .option('-c, --container <name>', 'of this container')
    .option('--all-containers', 'of all containers of the pod, initContainers first')
    .option('-p, --previous', 'what the container wrote before its last restart');
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      "Of a Job it is the pod that runs, or the last one. Works from any host that reaches Redis, also when the pod's worker is gone.",
    ],
    examples: [
      'drover logs job/pi',
      'drover logs -f --tail 20 pi-x7k2p',
      'drover logs job/indexed --all-pods',
      'drover logs -c proxy --previous pi-x7k2p',
    ],
  }).action(async (what: string, options) => {
    const { logsCommand } = await import('../commands/logs.ts');
    finish(await logsCommand(what, options));
  });
}

function defineWait({ program, problems, finish }: Definition): void {
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
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      'Polls nothing. Exits with 0 when the condition holds, 1 when it can not hold any more, 124 after the timeout. Of a Job on a work queue it is said on standard error when items are left.',
    ],
    examples: [
      'drover wait job/pi --for complete --timeout 60s',
      'drover wait -l app=resize --for finished',
    ],
  }).action(async (names: string[], options) => {
    const { waitCommand } = await import('../commands/wait.ts');
    finish(await waitCommand(names, options));
  });
}

function defineScale({ program, problems, finish }: Definition): void {
  const range = { min: 0 };
  const command = program
    .command('scale')
    .description('Change how many pods of Jobs run at once.')
    .argument('<jobs...>', 'job/NAME or NAME')
    .addOption(integerOption(problems, '-p, --parallelism <count>', 'so many; 0 stops all', range))
    .addOption(integerOption(problems, '--replicas <count>', 'the same', range))
    .addOption(outputOption(['name', 'json', 'yaml']));
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      'Of pods above the new number the youngest are stopped; they are not counted as failed, and their work is done anew later.',
    ],
    examples: ['drover scale job/resize --parallelism 20', 'drover scale job a b --replicas 0'],
  }).action(async (names: string[], options) => {
    const { scaleCommand } = await import('../commands/scale.ts');
    finish(await scaleCommand(names, options));
  });
}

const SUSPEND_RESUME = {
  suspend: {
    description:
      'Stop the pods of Jobs and start no new ones until they are resumed. Of CronJobs: make no Jobs.',
    note: 'What succeeded stays. Pods that run get SIGTERM, are not counted as failed, and run anew later.',
  },
  resume: {
    description: 'Let suspended Jobs and CronJobs go on.',
    note: 'activeDeadlineSeconds begin anew. Of the times that a suspended CronJob missed the last one is made up for, unless it says otherwise: docs/cron.md.',
  },
} as const;

function defineSuspendResume({ program, finish }: Definition): void {
  for (const verb of ['suspend', 'resume'] as const) {
    const { description, note } = SUSPEND_RESUME[verb];
    const command = program
      .command(verb)
      .description(description)
      .argument('<jobs...>', 'job/NAME, cronjob/NAME or NAME, which is a Job')
      .addOption(outputOption(['name', 'json', 'yaml']));
    withHelp(withNamespace(withEngineOrServer(command)), {
      notes: [note],
      examples: [`drover ${verb} job/pi`],
    }).action(async (names: string[], options) => {
      const { suspendCommand } = await import('../commands/suspend.ts');
      finish(await suspendCommand(verb, names, options));
    });
  }
}

function defineDelete({ program, finish }: Definition): void {
  const command = program
    .command('delete')
    .description(
      'Delete Jobs with their pods, CronJobs with their Jobs, single pods, ConfigMaps, Secrets, ResourceQuotas or PriorityClasses.',
    )
    .argument('[things...]', 'job/NAME, pod/NAME and the like, or `job NAME...`')
    .addOption(listOption('-f, --filename <path>', 'the objects of a manifest; may repeat'))
    .option('-l, --selector <selector>', 'those with these labels')
    .option('--all', 'all of the namespace')
    .option('--ignore-not-found', 'no error when there is none')
    .addOption(
      new Option(
        '--cascade <policy>',
        'what becomes of what belongs to a Job or CronJob: stopped and removed after it, before it, or left',
      ).choices(['background', 'foreground', 'orphan']),
    )
    .option('--no-wait', 'do not wait for finalizers');
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      'A Job with finalizers is waited for until they are taken away. Running pods get SIGTERM, and SIGKILL after their grace period. A single pod that runs is stopped, counted as failed and replaced; of one that ended the record and the log are removed.',
    ],
    examples: [
      'drover delete job/pi',
      'drover delete -f pi.yaml',
      'drover delete jobs -l app=resize',
    ],
  }).action(async (things: string[], options) => {
    const { deleteCommand } = await import('../commands/delete.ts');
    finish(await deleteCommand(things, options));
  });
}
