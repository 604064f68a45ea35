import { parseWorkQueue, type WorkQueue } from '@drover/shared';

import { badInput } from './errors.ts';

/** How a work queue is called in messages. */
export function queueText(name: string): string {
  return `workqueue.drover.dev/${name}`;
}

/** Refuses what can be no name before Redis is asked for. @throws CliError, InvalidSpecError */
export function checkQueueName(name: string): void {
  if (name === '') throw badInput('the name of the work queue is empty');
  parseWorkQueue({ metadata: { name } }, 'default');
}

/** The STATUS column of work queues. */
export function queueStatusWord({ status }: WorkQueue): 'Open' | 'Sealed' | 'Done' {
  if (status?.allDone === true) return 'Done';
  return status?.sealedTime === undefined ? 'Open' : 'Sealed';
}
