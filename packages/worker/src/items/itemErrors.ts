/** The pod may not say any more what became of its items: another one has its place. */
export class ItemsFencedError extends Error {
  override readonly name = 'ItemsFencedError';

  constructor() {
    super('the pod lost its claim: what it says of its items does not count any more');
  }
}

/** The item has ended: it can't be completed or failed again. */
export class ItemEndedError extends Error {
  override readonly name = 'ItemEndedError';
}

/** The pod can't take items. */
export class NoItemsError extends Error {
  override readonly name = 'NoItemsError';
}

/**
 * Thrown by a handler for an item: it is dead-lettered, however many attempts it has left. By the function of
 * `defineItemHandler`, or by a handler whose pods take one item each.
 */
export class FinalItemError extends Error {
  override readonly name = 'FinalItemError';
}

/** Whether what was thrown for an item says that it is not to be tried again; also one of another copy of this package. */
export function isFinalError(error: unknown): boolean {
  return error instanceof Error && error.name === 'FinalItemError';
}

/** What was said of an item that has ended. */
export function endedBefore(id: number): ItemEndedError {
  return new ItemEndedError(
    `item ${id} was completed or failed before, or its pod has ended: only the first word counts`,
  );
}
