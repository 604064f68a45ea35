import type { WorkQueueStats } from './workQueue.ts';

/** What a finished Job left in its work queue: items that are not settled, or dead letters. */
export interface ItemsWarning {
  readonly reason: 'ItemsLeft' | 'ItemsDead';
  readonly message: string;
}

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
  const warnings: ItemsWarning[] = [];
  const left = waiting + delayed + inFlight;
  if (left > 0) {
    const items = left === 1 ? '1 item is' : `${left} items are`;
    const message = `${items} not settled: another Job on workqueue.drover.dev/${name} would take them`;
    warnings.push({ reason: 'ItemsLeft', message });
  }
  if (dead > 0) {
    const items = dead === 1 ? '1 item is a dead letter' : `${dead} items are dead letters`;
    const message = `${items} of workqueue.drover.dev/${name}: \`drover queue dead ${name}\` says why`;
    warnings.push({ reason: 'ItemsDead', message });
  }
  return warnings;
}
