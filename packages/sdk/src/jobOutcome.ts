import { TerminalError, terminalCondition, type Job, type JobCondition } from '@drover/shared';

/** What `jobs.wait` waits for. */
export type WaitCondition = 'complete' | 'failed' | 'finished';

/** A Job ended in another way than the caller waited for; waiting on can not help. */
export class JobOutcomeError extends TerminalError {
  /** The Job as it ended. */
  readonly job: Job;

  constructor(job: Job, condition: JobCondition) {
    const why = [condition.reason, condition.message].filter((text) => text !== '').join(': ');
    super(`Job "${job.metadata.name}" is ${condition.type}${why === '' ? '' : ` (${why})`}`);
    this.job = job;
  }
}

/**
 * The Job, if it ended as was wanted.
 *
 * @throws JobOutcomeError if it ended otherwise.
 */
export function outcomeFor(job: Job, wanted: WaitCondition): Job {
  const condition = terminalCondition(job.status?.conditions);
  const type = wanted === 'complete' ? 'Complete' : 'Failed';
  if (condition !== null && wanted !== 'finished' && condition.type !== type) {
    throw new JobOutcomeError(job, condition);
  }
  return job;
}
