import { Option, type Command } from 'commander';

import { integerOption, withEngine, withEngineOrServer, withNamespace } from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Most times that a preview shows. */
const MAX_PREVIEW = 10_000;

/** Defines the commands about the times of CronJobs. */
export function defineCron(definition: Definition): void {
  const cron = definition.program
    .command('cron')
    .description(
      'Look at the times of CronJobs, and run them by hand: preview, history, trigger, backfill.',
    );
  withHelp(cron, {
    notes: [],
    examples: ["drover cron preview '30 2 * * *' --time-zone Europe/Berlin"],
  });
  const part: CronDefinition = { ...definition, cron };
  definePreview(part);
  defineHistory(part);
  defineTrigger(part);
  defineBackfill(part);
}

interface CronDefinition extends Definition {
  readonly cron: Command;
}

function definePreview({ cron, problems, finish }: CronDefinition): void {
  const range = { min: 1, max: MAX_PREVIEW };
  const command = cron
    .command('preview')
    .description('Print when a CronJob, or a schedule, is due next.')
    .argument('<what>', "the name of a CronJob, or a schedule in quotes: '30 2 * * *'")
    .option('--time-zone <zone>', "by the clock of this zone (default: the CronJob's, else UTC)")
    .addOption(integerOption(problems, '-n, --count <count>', 'so many', range).default(10))
    .option('--from <time>', 'after this time (default: now)')
    .option('--json', 'as JSON')
    .addOption(
      new Option('--namespace <name>', 'namespace of the CronJob').env('DROVER_NAMESPACE'),
    );
  withHelp(withEngineOrServer(command), {
    notes: [
      'Times without a Job are shown too, with the reason, and so is what happens when the clock is changed. For a schedule no engine is needed; of a CronJob its annotations count (docs/cron.md).',
    ],
    examples: [
      "drover cron preview '30 2 * * *' --time-zone Europe/Berlin --from 2026-03-28 -n 3",
      'drover cron preview nightly',
      "drover cron preview '@every 90m' --json",
    ],
  }).action(async (what: string, options) => {
    const { cronPreviewCommand } = await import('../commands/cronPreview.ts');
    finish(await cronPreviewCommand(what, options));
  });
}

function defineTrigger({ cron, finish }: CronDefinition): void {
  const command = cron
    .command('trigger')
    .description('Run a CronJob now.')
    .argument('<name>', 'the CronJob')
    .option(
      '--job-name <name>',
      "name of the Job (default: the CronJob's, -manual- and five letters)",
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['name', 'json', 'yaml']),
    );
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      'Makes a Job whatever schedule and concurrencyPolicy say, suspended or not, as `kubectl create job --from` does. It belongs to the CronJob and counts for its history limits.',
    ],
    examples: ['drover cron trigger nightly', 'drover wait $(drover cron trigger nightly -o name)'],
  }).action(async (name: string, options) => {
    const { cronTriggerCommand } = await import('../commands/cronTrigger.ts');
    finish(await cronTriggerCommand(name, options));
  });
}

function defineHistory({ cron, problems, finish }: CronDefinition): void {
  const range = { min: 1 };
  const command = cron
    .command('history')
    .description('List the past times of a CronJob, those without a Job with the reason.')
    .argument('<name>', 'the CronJob')
    .addOption(integerOption(problems, '--limit <count>', 'only so many, the last ones', range))
    .option('--json', 'as JSON');
  withHelp(withNamespace(withEngineOrServer(command)), {
    notes: [
      'About the last hundred are kept, also when their Jobs are removed (STATUS is then `removed`). RESULT is started, skipped (there was no Job), backfilled (made afterwards by `drover cron backfill`) or manual (made by hand, for no time of the schedule).',
    ],
    examples: [
      'drover cron history nightly',
      'drover cron history nightly --json | jq \'.[] | select(.result == "skipped")\'',
    ],
  }).action(async (name: string, options) => {
    const { cronHistoryCommand } = await import('../commands/cronHistory.ts');
    finish(await cronHistoryCommand(name, options));
  });
}

function defineBackfill({ cron, finish }: CronDefinition): void {
  const command = cron
    .command('backfill')
    .description('Make the Jobs for past times of a CronJob that had none.')
    .argument('<name>', 'the CronJob')
    .requiredOption(
      '--from <time>',
      'the first time that counts, as 2026-03-01 or 2026-03-01T06:00:00Z',
    )
    .requiredOption('--to <time>', 'the last time that counts')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--json', 'as JSON');
  withHelp(withNamespace(withEngine(command)), {
    notes: [
      'The Jobs have the names and annotations that they would have had, and start at once, all of them: concurrencyPolicy does not hold them back. A time that had its Job gets no second one, however often it is asked for, as far as the history goes back. At most 1,000 times.',
    ],
    examples: ['drover cron backfill nightly --from 2026-03-01 --to 2026-03-07 --dry-run'],
  }).action(async (name: string, options) => {
    const { cronBackfillCommand } = await import('../commands/cronBackfill.ts');
    finish(await cronBackfillCommand(name, options));
  });
}
