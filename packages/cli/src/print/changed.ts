import type { Job } from '@drover/shared';

import { formatDocument, nameLine } from './printer.ts';

/** How a command that changed Jobs prints them. */
export type ChangedOutput = 'name' | 'json' | 'yaml';

/**
 * Changes Jobs one after the other and prints each as soon as it is done: `job.batch/pi scaled`, or
 * all of them at the end where `-o` asks for a document.
 */
export async function changeJobs(
  changes: readonly (() => Promise<Job>)[],
  done: string,
  output: ChangedOutput | undefined,
): Promise<Job[]> {
  const isDocument = output === 'json' || output === 'yaml';
  const jobs: Job[] = [];
  for (const change of changes) {
    const job = await change();
    jobs.push(job);
    const line = output === 'name' ? nameLine(job) : `${nameLine(job)} ${done}`;
    if (!isDocument) process.stdout.write(`${line}\n`);
  }
  if (isDocument) process.stdout.write(await formatDocument(jobs, output, jobs.length === 1));
  return jobs;
}
