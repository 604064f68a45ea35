import { withClient } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { changeJobs, type ChangedOutput } from '../print/changed.ts';
import { parseThings } from '../things.ts';

/** Options of `drover suspend` and `drover resume`. */
export interface SuspendOptions extends ObjectOptions {
  output?: ChangedOutput;
}

/** Suspends or resumes Jobs. */
export async function suspendCommand(
  verb: 'suspend' | 'resume',
  words: readonly string[],
  options: SuspendOptions,
): Promise<number> {
  const { things } = parseThings(words, 'job');
  if (things.length === 0 || things.some(({ kind }) => kind !== 'job')) {
    throw badInput(`which job? drover ${verb} job/NAME`);
  }
  return await withClient(options, async (drover) => {
    const changes = things.map(
      ({ name }) =>
        () =>
          drover.jobs[verb](name),
    );
    await changeJobs(changes, `${verb}${verb === 'suspend' ? 'ed' : 'd'}`, options.output);
    return EXIT.ok;
  });
}
