import type { ItemQueueJobData } from '@drover/store';

import type { DeliveredItem } from './deliveredItem.ts';
import type { NewItemJob } from './itemIntake.ts';

/** An item by itself, once more. */
export function singleAgain(
  item: DeliveredItem,
  ran: number,
  opts: NewItemJob['opts'],
): NewItemJob {
  const data: ItemQueueJobData = { i: item.id, d: item.data, a: item.attemptsMade + ran };
  return { data, opts };
}

/** What is left of a chunk, in QueueJobs of so many items; those with gaps between them in more. */
export function pieces(items: readonly DeliveredItem[], pieceItems: number): NewItemJob[] {
  const jobs: NewItemJob[] = [];
  let from = 0;
  while (from < items.length) {
    let to = from + 1;
    while (to < items.length && to - from < pieceItems && items[to]!.id === items[to - 1]!.id + 1)
      to += 1;
    const first = items[from]!;
    if (to - from === 1) jobs.push(singleAgain(first, 0, {}));
    else {
      const c = items.slice(from, to).map(({ data }) => data);
      jobs.push({ data: { i: first.id, c }, opts: {} });
    }
    from = to;
  }
  return jobs;
}
