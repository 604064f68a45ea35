import { formatMicroTime } from '@drover/shared';
import type { DeadReason, ItemOutcome, StoredDeadItem } from '@drover/store';

/** What a completed item brought. */
export interface ItemResult {
  /** Number of the item in its work queue, from 1. */
  readonly id: number;
  /** What the pod returned for it; undefined when nothing. */
  readonly result: unknown;
  /** How often it was run, this time included. */
  readonly attempts: number;
  /** When it was completed; RFC 3339. */
  readonly endTime: string;
  /** The pod that completed it. */
  readonly pod: { readonly jobUid: string; readonly number: number };
}

/** An item that failed for good. */
export interface DeadItem {
  /** Number of the item in its work queue, from 1. */
  readonly id: number;
  /** What was enqueued. */
  readonly data: unknown;
  /** Its key; null = none. */
  readonly key: string | null;
  /** What went wrong the last time. */
  readonly error: string;
  /**
   * `Failed`: it was tried as often as it may be, or failed without a retry. `KilledItsPods`: pods or workers
   * died with it in hand, so often that it is held for the cause.
   */
  readonly reason: DeadReason;
  /** How often it was run. */
  readonly attempts: number;
  /** When it was given up; RFC 3339. */
  readonly endTime: string;
}

/** An outcome as its user sees it. */
export function itemResult({
  id,
  result,
  attempts,
  endedMs,
  jobUid,
  podNumber,
}: ItemOutcome): ItemResult {
  return {
    id,
    result: result === '' ? undefined : (JSON.parse(result) as unknown),
    attempts,
    endTime: formatMicroTime(endedMs),
    pod: { jobUid, number: podNumber },
  };
}

/** A dead-lettered item as its user sees it. */
export function deadItem(id: number, text: string): DeadItem {
  const { key = null, endedMs, ...stored } = JSON.parse(text) as StoredDeadItem;
  return { id, key, ...stored, endTime: formatMicroTime(endedMs) };
}
