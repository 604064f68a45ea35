import { Option, type Command } from 'commander';

import {
  durationOption,
  integerOption,
  listOption,
  quantityOption,
  withEngine,
  withHealthFile,
  withMetrics,
  withLogLevel,
  withSecretKey,
  type Problems,
} from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines the commands that run until they are stopped. */
export function defineServices(definition: Definition): void {
  defineDev(definition);
  defineController(definition);
  defineWorker(definition);
  defineServer(definition);
  defineHealth(definition);
}

function addController(command: Command, problems: Problems): Command {
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
    )
    .addOption(
      integerOption(
        problems,
        '--kept-pods-per-job <count>',
        'pods that ended which a Job keeps at most, failed ones before others (default: 100000)',
        { min: 0 },
      ).env('DROVER_KEPT_PODS_PER_JOB'),
    )
    .addOption(
      integerOption(
        problems,
        '--kept-pods <count>',
        'pods of all finished Jobs that are kept at most (default: 1000000)',
        { min: 0 },
      ).env('DROVER_KEPT_PODS'),
    )
    .addOption(
      durationOption(
        problems,
        '--event-ttl <duration>',
        'for how long events are kept after they happened last (default: 1h)',
      ).env('DROVER_EVENT_TTL'),
    );
}

function defineDev({ program, problems, finish }: Definition): void {
  const command = program
    .command('dev')
    .description(
      'Run an engine on this machine: a private Redis, a controller, workers and an API server.',
    )
    .option('--data-dir <dir>', 'where its data is (default: ~/.local/state/drover/dev)')
    .addOption(
      integerOption(
        problems,
        '--port <port>',
        'TCP port of its API server; 0 = any that is free (default: 6443 if free)',
        { min: 0, max: 65_535 },
      ),
    )
    .option(
      '--kubeconfig <file>',
      'write the kubeconfig for kubectl there (default: kubeconfig in the data directory)',
    )
    .addOption(
      integerOption(
        problems,
        '--redis-port <port>',
        'TCP port of its Redis; 0 = any that is free (default: 6390 if free)',
        { min: 0, max: 65_535 },
      ),
    )
    .addOption(
      integerOption(problems, '--workers <count>', 'worker processes', { min: 0, max: 64 }).default(
        1,
      ),
    );
  addWorkerOptions(addController(command, problems), problems);
  command.option('--no-reload', 'go on with the handlers as they were, when their files change');
  withHelp(withLogLevel(command), {
    notes: [
      'Other commands of the same user find it without any option; programs find its URL in `dev.json` of the state directory. Its Redis has a password, its API server a token, and both listen on 127.0.0.1; the key file for Secrets is `secret.key` of the data directory. Workers that die are started again.',
      'When a file changes that the handlers are made of, new pods run what it says now, and those that run end with what it said. One that can not be loaded changes nothing until it is mended.',
      'Ctrl-C ends it, and everything ends with it, kill -9 included; its Jobs stay in the data directory and go on with the next start.',
    ],
    examples: [
      'drover dev',
      'drover dev --handlers handlers.ts --workers 2',
      'drover dev --port 0 --kubeconfig ./kubeconfig',
    ],
  }).action(async (options) => {
    const { devCommand } = await import('../commands/dev.ts');
    finish(await devCommand(options));
  });
}

function addWorkerOptions(command: Command, problems: Problems): void {
  command
    .addOption(
      listOption('--handlers <file>', 'module with defineHandler(...) exports; may repeat').env(
        'DROVER_HANDLERS',
      ),
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
      quantityOption(
        problems,
        '--cpu <amount>',
        'CPUs that its pods may request together (default: those of the machine or its container)',
        '4 or 500m',
      ).env('DROVER_CPU'),
    )
    .addOption(
      quantityOption(
        problems,
        '--memory <amount>',
        'memory that they may, such as 8Gi (default: likewise)',
        '8Gi or 512Mi',
      ).env('DROVER_MEMORY'),
    )
    .addOption(
      integerOption(
        problems,
        '--threads <count>',
        "threads for handlers with isolation: 'thread' (default: one per CPU)",
        { min: 1, max: 1_024 },
      ).env('DROVER_THREADS'),
    )
    .addOption(
      durationOption(
        problems,
        '--crash-loop-base <duration>',
        'wait before the first restart of a failed program in its pod (default: 10s); it doubles each time',
      ).env('DROVER_CRASH_LOOP_BASE'),
    )
    .addOption(
      durationOption(
        problems,
        '--crash-loop-cap <duration>',
        'longest such wait (default: 5m)',
      ).env('DROVER_CRASH_LOOP_CAP'),
    )
    .addOption(
      listOption(
        '--runtime <name>',
        'process, handler (default: process, and handler with --handlers)',
      ).env('DROVER_RUNTIME'),
    );
}

function defineController({ program, problems, finish }: Definition): void {
  const command = program
    .command('controller')
    .description('Run a controller: it starts, counts and ends pods. Any number may run.')
    .addOption(
      integerOption(
        problems,
        '--shards <count>',
        'shards of a new installation, which spread over the masters of a Redis Cluster (default: 1)',
        { min: 1, max: 1_024 },
      ).env('DROVER_SHARDS'),
    );
  addController(command, problems);
  withHelp(withMetrics(withHealthFile(withLogLevel(withEngine(command))), problems), {
    notes: [
      'The number of shards can not be changed later: start a controller with it before anything else.',
    ],
    examples: [
      'drover controller --redis-file /run/secrets/redis-url',
      'drover controller --redis redis+sentinel://a:26379,b:26379,c:26379?name=mymaster',
      'drover controller --redis redis+cluster://a:6379,b:6379,c:6379 --shards 8',
    ],
  }).action(async (options) => {
    const { controllerCommand } = await import('../commands/controller.ts');
    finish(await controllerCommand(options));
  });
}

function defineWorker({ program, problems, finish }: Definition): void {
  const command = program
    .command('worker')
    .description('Run a worker: it runs pods, as processes or as handlers.')
    .addOption(new Option('--pool <name>', 'its pool').default('default').env('DROVER_POOL'))
    .option('--name <name>', 'its name among the nodes (default: made from the host name)');
  addWorkerOptions(command, problems);
  command.addOption(
    new Option(
      '--run-as <user>',
      'user that all programs run as, by name or as 1000 or 1000:1000; the worker itself runs as root',
    ).env('DROVER_RUN_AS'),
  );
  command.addOption(
    new Option(
      '--sandbox <kind>',
      'keep programs apart from the machine and from each other, with bubblewrap',
    )
      .choices(['bwrap'])
      .env('DROVER_SANDBOX'),
  );
  command.addOption(
    listOption(
      '--sandbox-path <path>',
      'what they see beside the system, with :rw behind to be writable; may repeat',
    ).env('DROVER_SANDBOX_PATH'),
  );
  command.addOption(new Option('--supervised').hideHelp());
  withMetrics(withHealthFile(withLogLevel(withSecretKey(withEngine(command)))), problems);
  withHelp(command, {
    notes: [
      "A module of handlers is TypeScript or JavaScript as it is; every export made with defineHandler is offered. One outside of any project finds this command's `@drover/sdk`.",
      'SIGTERM or Ctrl-C: no new pods; those that end within their grace period are reported, the rest are stopped and run elsewhere. A second one ends it at once.',
    ],
    examples: ['drover worker --max-pods 4', 'drover worker --handlers handlers.ts --pool gpu'],
  }).action(async (options) => {
    const { workerCommand } = await import('../commands/worker.ts');
    finish(await workerCommand(options));
  });
}

function defineServer({ program, problems, finish }: Definition): void {
  const command = program
    .command('server')
    .description('Run an API server: kubectl and client libraries of Kubernetes work with it.')
    .addOption(
      new Option('--host <address>', 'address to listen on')
        .default('127.0.0.1')
        .env('DROVER_SERVER_HOST'),
    )
    .addOption(
      integerOption(problems, '--port <port>', 'TCP port; 0 = any that is free', {
        min: 0,
        max: 65_535,
      })
        .default(6443)
        .env('DROVER_SERVER_PORT'),
    )
    .addOption(
      new Option(
        '--data-dir <dir>',
        'where its certificates and its token are (default: ~/.local/state/drover/server)',
      ).env('DROVER_SERVER_DATA_DIR'),
    )
    .option(
      '--kubeconfig <file>',
      'write the kubeconfig for clients there (default: kubeconfig in the data directory)',
    )
    .addOption(
      listOption(
        '--server-name <name>',
        'DNS name or address that clients reach it by; may repeat, the first is in the kubeconfig',
      ).env('DROVER_SERVER_NAME'),
    )
    .option('--tls-cert <file>', 'its certificate, instead of one of an authority of its own')
    .option('--tls-key <file>', 'the key of that certificate')
    .option(
      '--token-file <file>',
      'the token of the one who may do everything, instead of one that is made',
    )
    .addOption(
      new Option(
        '--tokens <file>',
        'further tokens with their roles, as `drover token create --file` writes them, beside those in Redis',
      ).env('DROVER_SERVER_TOKENS'),
    )
    .addOption(
      integerOption(
        problems,
        '--rate-limit <count>',
        'requests of one token per second, on average over ten; 0 = any number (default: 200)',
        { min: 0, max: 1_000_000 },
      ).env('DROVER_SERVER_RATE_LIMIT'),
    )
    .addOption(
      new Option(
        '--audit-log <file>',
        'who changed what, a line of JSON each, into this file instead of the log',
      ).env('DROVER_SERVER_AUDIT_LOG'),
    );
  withMetrics(withHealthFile(withLogLevel(withSecretKey(withEngine(command)))), problems);
  withHelp(command, {
    notes: [
      'Speaks https only, and wants a bearer token. Both are made at the first start, with a certificate authority of its own, and are in the kubeconfig that it writes: who may read that file may do everything. There is no way to do without either, so that it can listen on any address.',
      '`drover token create` makes tokens that may do less.',
      'Any number may run for one engine; give them the same certificate and token.',
    ],
    examples: [
      'drover server',
      'drover server --host 0.0.0.0 --server-name drover.example.com --kubeconfig admin.conf',
    ],
  }).action(async (options) => {
    const { serverCommand } = await import('../commands/server.ts');
    finish(await serverCommand(options));
  });
}

function defineHealth({ program, finish }: Definition): void {
  const command = withHealthFile(
    program
      .command('health')
      .description(
        'Tell whether the controller, worker or server that writes a health file is well.',
      ),
  );
  withHelp(command, {
    notes: [
      'Exits with 0 when it is, and with 1 when it is not, does not answer, or is gone: the health check of a container.',
    ],
    examples: ['drover health --health-file /tmp/health'],
  }).action(async (options) => {
    const { healthCommand } = await import('../commands/health.ts');
    finish(await healthCommand(options));
  });
}
