import { Option, type Command } from 'commander';

import {
  durationOption,
  integerOption,
  listOption,
  withEngine,
  withNamespace,
  type Problems,
} from '../options.ts';
import { parseDurationMs } from '../text/duration.ts';
import { defineConsume } from './consume.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines the commands about work queues and their items. */
export function defineQueues(definition: Definition): void {
  defineEnqueue(definition);
  defineConsume(definition);
  const queue = definition.program
    .command('queue')
    .description('Look into work queues and change them: ls, stats, results, dead, retry, ...');
  withHelp(queue, { notes: [], examples: ['drover queue ls', 'drover queue stats pages'] });
  const part: QueueDefinition = { ...definition, queue };
  defineLooks(part);
  defineResults(part);
  defineDead(part);
  defineRetry(part);
  defineChanges(part);
}

interface QueueDefinition extends Definition {
  readonly queue: Command;
}

const NAME = 'the work queue';

function defineEnqueue({ program, problems, finish }: Definition): void {
  const command = program
    .command('enqueue')
    .description('Put items into a work queue: the lines of files, or the paths of files.')
    .argument('<queue>', 'the work queue; it is created when there is none')
    .argument('[files...]', 'NDJSON: an item as JSON on each line; - is standard input')
    .option('--lines', 'each line is an item, as a text')
    .addOption(
      repeatedOption('--glob <pattern>', 'the paths of the files that match are items; may repeat'),
    )
    .option(
      '--key <field>',
      'enqueue an item of each key once: a field of the items, a JSON pointer (/customer/id), or . for the whole item',
    );
  for (const option of itemOptions(problems)) command.addOption(option);
  command
    .option('--seal', 'say at the end that no more items will come')
    .option('--skip-invalid', 'pass over lines that can not be enqueued, and tell them')
    .option('--bar', 'show progress as a bar, in a pipe too')
    .option('--no-bar', 'show no progress')
    .option('--json', 'print what was done as JSON');
  withHelp(withNamespace(withEngine(command)), {
    notes: [
      'Files are read to their end before their first item is enqueued: a bad line, told with its number, leaves the queue as it was. Of standard input and pipes the items before a bad line are enqueued, and it is said how many. Empty lines are passed over; lines are UTF-8, an item has at most 256 KiB as JSON.',
      'With --key an enqueue can be repeated: after Ctrl-C, a lost connection or a bad line the same command adds what is missing, and nothing twice. A key is a text or a number of at most 256 bytes; of --key . what is longer counts by its SHA-256.',
      'Paths of --glob are as the pattern is: relative to where the command runs, unless the pattern begins with /. Whole numbers that JavaScript would round (beyond 2^53) are refused: write them as texts, or use --lines.',
      'What comes slowly, as from `tail -f`, is enqueued as it comes. Ctrl-C ends at the next batch and says what was enqueued.',
    ],
    examples: [
      'drover enqueue pages pages.ndjson --key url --seal',
      'zcat events.gz | drover enqueue events -',
      'drover enqueue names --lines names.txt',
      "drover enqueue tables --glob 'data/**/*.csv' --key . --attempts 5",
    ],
  }).action(async (queue: string, files: string[], options) => {
    const { enqueueCommand } = await import('../commands/enqueue.ts');
    finish(await enqueueCommand(queue, files, options));
  });
}

function defineLooks({ queue, finish }: QueueDefinition): void {
  const ls = queue
    .command('ls')
    .description('List the work queues of a namespace.')
    .option('--no-headers', 'no header line')
    .addOption(outputOption(['json', 'yaml', 'name']));
  withHelp(withNamespace(withEngine(ls)), {
    notes: [
      'STATUS is Open, Sealed (no more items can come), or Done (sealed, and every item is settled). LEFT are the items that are not settled: they wait, are delayed, or pods have them.',
    ],
    examples: ['drover queue ls'],
  }).action(async (options) => {
    const { listQueuesCommand } = await import('../commands/queueLooks.ts');
    finish(await listQueuesCommand(options));
  });
  const stats = queue
    .command('stats')
    .description('Count the items of a work queue by where they are.')
    .argument('<name>', NAME)
    .addOption(outputOption(['json', 'yaml']));
  withHelp(withNamespace(withEngine(stats)), {
    notes: [
      'In flight are the items that workers have. Of what ended, retried are dead letters that were enqueued again, cleared those that `queue clear` removed, abandoned those whose producer died before it had handed them over.',
    ],
    examples: ['drover queue stats pages', 'drover queue stats pages -o json | jq .waiting'],
  }).action(async (name: string, options) => {
    const { queueStatsCommand } = await import('../commands/queueLooks.ts');
    finish(await queueStatsCommand(name, options));
  });
}

function defineResults({ queue, finish }: QueueDefinition): void {
  const command = queue
    .command('results')
    .description('Print the results of completed items.')
    .argument('<name>', NAME)
    .option('-f, --follow', 'go on until every item is settled and no more can come')
    .addOption(
      new Option('--order <order>', 'in which order')
        .choices(['completion', 'enqueue'])
        .default('completion'),
    )
    .addOption(outputOption(['ndjson', 'json']));
  withHelp(withNamespace(withEngine(command)), {
    notes: [
      'Results are kept for 7 days unless the work queue says otherwise (`drover explain workqueue.spec`). In order of enqueue what comes after an item that is not settled is kept in memory until that one is.',
    ],
    examples: [
      'drover queue results pages -o ndjson > results.ndjson',
      'drover queue results pages --follow --order enqueue -o ndjson | jq .result',
    ],
  }).action(async (name: string, options) => {
    const { queueResultsCommand } = await import('../commands/queueLooks.ts');
    finish(await queueResultsCommand(name, options));
  });
}

function defineDead({ queue, problems, finish }: QueueDefinition): void {
  const command = queue
    .command('dead')
    .description('Print the items that failed for good, with error and data.')
    .argument('<name>', NAME);
  for (const option of filterOptions(problems)) command.addOption(option);
  command.addOption(outputOption(['ndjson', 'json']));
  withHelp(withNamespace(withEngine(command)), {
    notes: [
      'REASON is Failed (tried as often as it may be, or failed without a retry) or KilledItsPods (pods or workers died with it in hand, so often that it is held for the cause).',
    ],
    examples: [
      'drover queue dead pages',
      'drover queue dead pages --match timeout -o ndjson | jq .data',
    ],
  }).action(async (name: string, options) => {
    const { queueDeadCommand } = await import('../commands/queueLooks.ts');
    finish(await queueDeadCommand(name, options));
  });
}

function defineRetry({ queue, problems, finish }: QueueDefinition): void {
  const command = queue
    .command('retry')
    .description('Enqueue items again that failed for good: all, or those that are named.')
    .argument('<name>', NAME);
  for (const option of [...filterOptions(problems), ...itemOptions(problems)]) {
    command.addOption(option);
  }
  command.addOption(outputOption(['json']));
  withHelp(withNamespace(withEngine(command)), {
    notes: [
      'They become new items, with new ids and all their attempts. A sealed work queue takes them, too.',
    ],
    examples: [
      'drover queue retry pages',
      'drover queue retry pages --id 7,12 --attempts 1',
      "drover queue retry pages --match 'ECONNRESET'",
    ],
  }).action(async (name: string, options) => {
    const { queueRetryCommand } = await import('../commands/queueChanges.ts');
    finish(await queueRetryCommand(name, options));
  });
}

function defineChanges({ queue, finish }: QueueDefinition): void {
  const clear = queue
    .command('clear')
    .description('Remove the items that nobody works on.')
    .argument('<name>', NAME)
    .option('-y, --yes', 'do not ask')
    .addOption(outputOption(['json']));
  withHelp(withNamespace(withEngine(clear)), {
    notes: [
      'Items that wait or are delayed count as cleared; what pods have goes on. Results and dead letters stay. On a terminal it asks first.',
    ],
    examples: ['drover queue clear pages'],
  }).action(async (name: string, options) => {
    const { queueClearCommand } = await import('../commands/queueChanges.ts');
    finish(await queueClearCommand(name, options));
  });
  const seal = queue
    .command('seal')
    .description('Say that no more items will come, so that pods end when all are done.')
    .argument('<name>', NAME)
    .addOption(outputOption(['json', 'yaml']));
  withHelp(withNamespace(withEngine(seal)), {
    notes: ['It can not be undone. To seal twice is no error.'],
    examples: ['drover queue seal pages'],
  }).action(async (name: string, options) => {
    const { queueSealCommand } = await import('../commands/queueChanges.ts');
    finish(await queueSealCommand(name, options));
  });
  const remove = queue
    .command('delete')
    .description('Remove a work queue with its items, results and dead letters.')
    .argument('<name>', NAME)
    .option('-y, --yes', 'do not ask')
    .option('--ignore-not-found', 'no error when there is none');
  withHelp(withNamespace(withEngine(remove)), {
    notes: ['On a terminal it asks first. Pods that wait for items of it fail.'],
    examples: ['drover queue delete pages --yes'],
  }).action(async (name: string, options) => {
    const { queueDeleteCommand } = await import('../commands/queueChanges.ts');
    finish(await queueDeleteCommand(name, options));
  });
}

function outputOption(choices: readonly string[]): Option {
  return new Option('-o, --output <format>', 'how to print').choices(choices);
}

/** An option that may repeat, with values that may have commas. */
function repeatedOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(
    (text: string, previous: string[] | undefined) => [...(previous ?? []), text],
  );
}

/** Which dead letters. */
function filterOptions(problems: Problems): Option[] {
  const ids = listOption('--id <ids>', 'only these, by their ids: 7,12; may repeat');
  const parse = ids.parseArg as (text: string, previous?: number[]) => string[];
  ids.argParser((text: string, previous: number[] | undefined) => [
    ...(previous ?? []),
    ...parse(text).map((id) => {
      if (!/^[1-9]\d{0,14}$/.test(id))
        problems.push(`--id ${id}: the number of an item is expected`);
      return Number(id);
    }),
  ]);
  return [ids, new Option('--match <text>', 'only those with this text in their error')];
}

/** How items are run. */
function itemOptions(problems: Problems): Option[] {
  return [
    integerOption(problems, '--priority <number>', '0 (the default) goes first, then 1, 2 ...', {
      min: 0,
      max: 2_097_152,
    }),
    durationOption(problems, '--delay <duration>', 'time until the items may be run'),
    integerOption(
      problems,
      '--attempts <count>',
      'how often an item is tried before it is a dead letter (default: 3)',
      { min: 1, max: 1_000 },
    ),
    backoffOption(problems),
  ];
}

function backoffOption(problems: Problems): Option {
  const flags = '--backoff <duration>';
  const description =
    'time before the second attempt, doubled with each further one; fixed:5s is always the same (default: 1s)';
  return new Option(flags, description).argParser((text: string) => {
    const [, type = 'exponential', duration = ''] =
      /^(?:(fixed|exponential):)?(.*)$/.exec(text) ?? [];
    const delay = parseDurationMs(duration);
    if (delay === null) {
      problems.push(`--backoff ${text}: a duration such as 30s, or fixed:30s, is expected`);
    }
    return { type, delay: delay ?? 0 };
  });
}
