import { withEngine, withNamespace } from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines the commands that show how things are, and those about the command itself. */
export function defineTools(definition: Definition): void {
  defineTop(definition);
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
