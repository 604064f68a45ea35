/** What a finished Job left in its work queue: items that are not settled, or dead letters. */
export interface ItemsWarning {
  readonly reason: 'ItemsLeft' | 'ItemsDead';
  readonly message: string;
}

/**
 * What there is to say of items that a finished Job left in its work queue, be it Complete or Failed. Pure.
 *
 * @param counts.left - Those that are not settled.
 * @param counts.dead - Dead letters that are kept.
 */
export function leftItemsWarnings(
  queue: string,
  { left, dead }: { readonly left: number; readonly dead: number },
): ItemsWarning[] {
  const warnings: ItemsWarning[] = [];
  if (left > 0) {
    const items = left === 1 ? '1 item is' : `${left} items are`;
    const message = `${items} not settled: another Job on workqueue.drover.dev/${queue} would take them`;
    warnings.push({ reason: 'ItemsLeft', message });
  }
  if (dead > 0) {
    const items = dead === 1 ? '1 item is a dead letter' : `${dead} items are dead letters`;
    const message = `${items} of workqueue.drover.dev/${queue}: \`drover queue dead ${queue}\` says why`;
    warnings.push({ reason: 'ItemsDead', message });
  }
  return warnings;
}
