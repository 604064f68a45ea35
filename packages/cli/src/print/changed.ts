import type { CronJob, Job } from '@drover/shared';

import { formatDocument, nameLine } from './printer.ts';

/** How a command that changed objects prints them. */
export type ChangedOutput = 'name' | 'json' | 'yaml';

/**
 * Changes objects one after the other and prints each as soon as it is done: `job.batch/pi scaled`, or
 * all of them at the end where `-o` asks for a document.
 */
export async function changeObjects<T extends Job | CronJob>(
  changes: readonly (() => Promise<T>)[],
  done: string,
  output: ChangedOutput | undefined,
): Promise<T[]> {
  const isDocument = output === 'json' || output === 'yaml';
  const objects: T[] = [];
  for (const change of changes) {
    const object = await change();
    objects.push(object);
    const line = output === 'name' ? nameLine(object) : `${nameLine(object)} ${done}`;
    if (!isDocument) process.stdout.write(`${line}\n`);
  }
  if (isDocument) process.stdout.write(await formatDocument(objects, output, objects.length === 1));
  return objects;
}
