import { terminalCondition } from '@drover/shared';

import { withClient } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { parseThings, refText } from '../things.ts';

/** Options of `drover scale`. */
export interface ScaleOptions extends ObjectOptions {
  parallelism?: number;
  /** The same by the name that kubectl has for it. */
  replicas?: number;
}

/** Changes how many pods of Jobs run at once. */
export async function scaleCommand(
  words: readonly string[],
  options: ScaleOptions,
): Promise<number> {
  const { things } = parseThings(words, 'job');
  if (things.length === 0 || things.some(({ kind }) => kind !== 'job')) {
    throw badInput('which job? drover scale job/NAME --parallelism N');
  }
  if (options.parallelism !== undefined && options.replicas !== undefined) {
    throw badInput('--parallelism and --replicas are the same: give one of them');
  }
  const parallelism = options.parallelism ?? options.replicas;
  if (parallelism === undefined) throw badInput('to how many? --parallelism N');
  return await withClient(options, async (drover) => {
    for (const thing of things) {
      const job = await drover.jobs.scale(thing.name, parallelism);
      process.stdout.write(`${refText(thing)} scaled\n`);
      const over = terminalCondition(job.status.conditions);
      if (over !== null) {
        process.stderr.write(
          `Warning: ${refText(thing)} is ${over.type}: it starts no more pods\n`,
        );
      }
    }
    return EXIT.ok;
  });
}
