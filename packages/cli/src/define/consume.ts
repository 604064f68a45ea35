import { integerOption } from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines `drover consume`. */
export function defineConsume({ program, problems, finish }: Definition): void {
  const command = program
    .command('consume')
    .description('In a pod: run a program for each item of the work queue that its Job names.')
    .argument('[program...]', 'the program and its arguments; write -- before them')
    .passThroughOptions()
    .addOption(
      integerOption(
        problems,
        '-b, --batch <count>',
        'give each run up to so many items, one a line, as many as are at hand',
        { min: 1, max: 1_000 },
      ),
    )
    .option(
      '-s, --stream',
      'run the program once, and give it one item after the other as a line, which it answers with a line',
    )
    .addOption(
      integerOption(problems, '-c, --concurrency <count>', 'how many run at once in this pod', {
        min: 1,
        max: 1_000,
      }).default(1),
    )
    .option('--json', 'give texts as JSON, too')
    .option(
      '--result',
      "keep what the program prints as the item's result: JSON if it is some, else a text",
    );
  withHelp(command, {
    notes: [
      'The program reads its item from standard input: a text as it is, anything else as JSON, with a line break at the end. Exit code 0 completes the item; another fails it, with the exit code and the end of standard error as the error, and it is tried again. $DROVER_ITEM_ID, $DROVER_ITEM_KEY and $DROVER_ITEM_ATTEMPT say which item it is. What the program prints is handed on.',
      'With --batch all items of a run that fails have failed; those that failed before are run one by one. With --stream the program must answer each line that it reads with one line, when it is through with it, and write nothing else to standard output; when it ends without an answer that item has failed, and the program is started again for the next.',
      'It ends with 0 when all items are done. On SIGTERM it takes no more, waits for what runs, and ends with 130; the programs get it shortly before the pod is killed, or with a second one. docs/work-queues.md has an example of the Job.',
    ],
    examples: [
      'drover consume -- sh -c \'wc -w "$(cat)"\'',
      'drover consume --batch 100 -- ./import-lines --table pages',
      "drover consume --stream --result -- jq --unbuffered -c '{n: (.text | length)}'",
    ],
  }).action(async (words: string[], options) => {
    const { consumeCommand } = await import('../commands/consume.ts');
    finish(await consumeCommand(words, options));
  });
}
