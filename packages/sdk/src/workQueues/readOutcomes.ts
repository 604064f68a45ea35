import { isAllDone, type ItemOutcome, type WorkQueues } from '@drover/store';

import type { Backend } from '../backend.ts';
import { EnqueueOrder } from './enqueueOrder.ts';
import { OutcomeNews } from './outcomeNews.ts';

/** Settles that are read at once, at first and at most: each has up to some hundred KiB of results. */
const FIRST_PAGE = 20;
const MAX_PAGE = 500;
/** Bytes of results that a page is to have, about. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** Which outcomes, and until when. */
export interface ReadOptions {
  readonly order: 'completion' | 'enqueue';
  /** Goes on until the work queue is all done. */
  readonly follow: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Outcomes of a work queue's items. */
export async function* readOutcomes(
  backend: Backend,
  { namespace, uid }: { readonly namespace: string; readonly uid: string },
  { order, follow, signal }: ReadOptions,
): AsyncGenerator<ItemOutcome> {
  const onWorkQueues = <T>(call: (workQueues: WorkQueues) => Promise<T>): Promise<T> =>
    backend.onShard(namespace, ({ workQueues }) => call(workQueues));
  const news = follow ? await OutcomeNews.open(backend, namespace, uid) : null;
  const stop = (): void => news?.close();
  signal?.addEventListener('abort', stop, { once: true });
  const ordered = order === 'enqueue' ? new EnqueueOrder() : null;
  let [after, limit, isAtEnd] = ['', FIRST_PAGE, false];
  try {
    for (;;) {
      if (signal?.aborted === true) return;
      // Both before the outcomes: what is settled in between is told by the next round.
      const stored = await onWorkQueues((workQueues) => workQueues.read(uid));
      const missing = isAtEnd && ordered !== null ? ordered.missing : [];
      const isSettled = await onWorkQueues((workQueues) => workQueues.areSettled(uid, missing));
      const [from, count] = [after, limit];
      const page = await onWorkQueues((workQueues) =>
        workQueues.outcomes(uid, { after: from, limit: count }),
      );
      for (const outcome of page.outcomes) {
        if (ordered === null) yield outcome;
        else yield* ordered.add(outcome);
      }
      after = page.position;
      limit = nextLimit(limit, page.outcomes);
      if (after !== from) {
        isAtEnd = false;
        continue;
      }
      const freed = ordered?.skip(isSettled) ?? [];
      yield* freed;
      // The first time at the end there may be more to pass over than was looked at.
      if (ordered !== null && (freed.length > 0 || !isAtEnd) && ordered.missing.length > 0) {
        isAtEnd = true;
        continue;
      }
      if (news === null || stored === null || isAllDone(stored)) {
        yield* ordered?.rest() ?? [];
        return;
      }
      await news.next(after);
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
}

function nextLimit(limit: number, outcomes: readonly ItemOutcome[]): number {
  const bytes = outcomes.reduce((sum, { result }) => sum + result.length, 0);
  const wanted = bytes === 0 ? 2 * limit : Math.floor((limit * PAGE_BYTES) / bytes);
  return Math.max(1, Math.min(MAX_PAGE, 2 * limit, wanted));
}
