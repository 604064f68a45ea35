import { terminalCondition } from '@drover/shared';

import { withClient } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { changeObjects, type ChangedOutput } from '../print/changed.ts';
import { nameLine } from '../print/printer.ts';
import { parseThings } from '../things.ts';

/** Options of `drover scale`. */
export interface ScaleOptions extends ObjectOptions {
  parallelism?: number;
  /** The same by the name that kubectl has for it. */
  replicas?: number;
  output?: ChangedOutput;
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
    const changes = things.map(
      ({ name }) =>
        () =>
          drover.jobs.scale(name, parallelism),
    );
    const jobs = await changeObjects(changes, 'scaled', options.output);
    for (const job of jobs) {
      const over = terminalCondition(job.status.conditions);
      if (over !== null) {
        process.stderr.write(`Warning: ${nameLine(job)} is ${over.type}: it starts no more pods\n`);
      }
    }
    return EXIT.ok;
  });
}
