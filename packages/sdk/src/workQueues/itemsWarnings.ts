import { type ItemsWarning, leftItemsWarnings } from '@drover/shared';
import type { WorkQueueStats } from './workQueue.ts';

/** What there is to say of the work queue of a finished Job, be it Complete or Failed. Pure. */
export function itemsWarnings(
  name: string,
  {
    waiting,
    delayed,
    inFlight,
    dead,
  }: Pick<WorkQueueStats, 'waiting' | 'delayed' | 'inFlight' | 'dead'>,
): ItemsWarning[] {
  return leftItemsWarnings(name, { left: waiting + delayed + inFlight, dead });
}
