import { Option, type Command } from 'commander';

import { integerOption, withEngine, withNamespace } from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Most times that a preview shows. */
const MAX_PREVIEW = 10_000;

/** Defines the commands about the times of CronJobs. */
export function defineCron(definition: Definition): void {
  const cron = definition.program
    .command('cron')
    .description('Look at the times of CronJobs, and run them by hand: preview, trigger.');
  withHelp(cron, {
    notes: [],
    examples: ["drover cron preview '30 2 * * *' --time-zone Europe/Berlin"],
  });
  const part: CronDefinition = { ...definition, cron };
  definePreview(part);
  defineTrigger(part);
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
  withHelp(withEngine(command), {
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
  withHelp(withNamespace(withEngine(command)), {
    notes: [
      'Makes a Job whatever schedule and concurrencyPolicy say, suspended or not, as `kubectl create job --from` does. It belongs to the CronJob and counts for its history limits.',
    ],
    examples: ['drover cron trigger nightly', 'drover wait $(drover cron trigger nightly -o name)'],
  }).action(async (name: string, options) => {
    const { cronTriggerCommand } = await import('../commands/cronTrigger.ts');
    finish(await cronTriggerCommand(name, options));
  });
}
