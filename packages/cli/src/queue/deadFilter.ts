import type { DeadItem } from '@drover/sdk/client';

/** Which dead letters are meant; all when nothing is said. */
export interface DeadFilter {
  /** Numbers of items. */
  readonly id?: readonly number[];
  /** A text in the error. */
  readonly match?: string;
}

/** Whether an item is meant: it has to be so in every way that is said. */
export function isWanted({ id, error }: DeadItem, filter: DeadFilter): boolean {
  if (filter.id !== undefined && !filter.id.includes(id)) return false;
  return filter.match === undefined || error.includes(filter.match);
}
