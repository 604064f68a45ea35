import { withClient } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { parseThings, refText } from '../things.ts';

/** Suspends or resumes Jobs. */
export async function suspendCommand(
  verb: 'suspend' | 'resume',
  words: readonly string[],
  options: ObjectOptions,
): Promise<number> {
  const { things } = parseThings(words, 'job');
  if (things.length === 0 || things.some(({ kind }) => kind !== 'job')) {
    throw badInput(`which job? drover ${verb} job/NAME`);
  }
  return await withClient(options, async (drover) => {
    for (const thing of things) {
      await drover.jobs[verb](thing.name);
      process.stdout.write(`${refText(thing)} ${verb}${verb === 'suspend' ? 'ed' : 'd'}\n`);
    }
    return EXIT.ok;
  });
}
