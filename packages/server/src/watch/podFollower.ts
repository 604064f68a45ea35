import type { WatchEntry } from '@drover/store';

import type { PodRange } from './podReader.ts';
import { Wakening } from './wakening.ts';

/** What may have changed in a time. */
export interface PodChanges {
  /** By the uid of their Job. */
  readonly ranges: ReadonlyMap<string, PodRange>;
  /** Jobs that were deleted. */
  readonly goneJobs: ReadonlySet<string>;
  /** Everything up to this version is in here, or was before. */
  readonly upTo: number;
}

/** A part of the time that is told in one step. */
interface Part {
  readonly ranges: Map<string, PodRange>;
  readonly goneJobs: Set<string>;
  upTo: number;
}

/** So many pods are read and told in one step, about. */
const STEP_PODS = 2_000;
/** Who is further behind than so many steps is told more at once, in which changes of a pod fall together. */
const MAX_PARTS = 64;
/** Pods that changed so lately go on to change. */
const BUSY_MS = 500;

/** One who follows pods. However much happens, what waits for it are some ranges for each Job. */
export class PodFollower {
  #parts: Part[] = [];
  #changedMs = Number.NEGATIVE_INFINITY;
  #failure: { readonly error: unknown } | null = null;
  readonly #news = new Wakening();

  /** Notes what a batch of entries tells. */
  tell(batch: readonly WatchEntry[]): void {
    if (batch.length === 0) return;
    const part: Part = { ranges: new Map(), goneJobs: new Set(), upTo: 0 };
    for (const entry of batch) {
      if (entry.kind === 'Pods') widen(part, entry.uid, entry);
      else if (entry.kind === 'Job' && entry.type === 'DELETED') part.goneJobs.add(entry.uid);
      part.upTo = entry.resourceVersion;
    }
    const last = this.#parts.at(-1);
    const isNews = part.ranges.size > 0 || part.goneJobs.size > 0;
    if (last !== undefined && (!isNews || podCount(last) + podCount(part) <= STEP_PODS)) {
      join(last, part);
    } else if (isNews) this.#parts.push(part);
    if (this.#parts.length > MAX_PARTS) this.#parts = inPairs(this.#parts);
    if (part.ranges.size > 0) this.#changedMs = performance.now();
    if (isNews) this.#news.wake();
  }

  /** Ends it with an error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#news.wake();
  }

  /** Nothing waits to be told. */
  get isQuiet(): boolean {
    return this.#parts.length === 0;
  }

  /** Pods change all the time. */
  get isBusy(): boolean {
    return performance.now() < this.#changedMs + BUSY_MS;
  }

  /**
   * What may have changed first of what was not taken yet, as soon as there is something; null after
   * `timeoutMs`, or at the signal.
   */
  async take(timeoutMs: number | null, signal: AbortSignal): Promise<PodChanges | null> {
    if (this.isQuiet && this.#failure === null && !signal.aborted) {
      await this.#news.wait(timeoutMs, signal);
    }
    if (signal.aborted) return null;
    if (this.#failure !== null) throw this.#failure.error;
    return this.#parts.shift() ?? null;
  }
}

function widen({ ranges }: Part, uid: string, { from, to }: PodRange): void {
  const known = ranges.get(uid) ?? { from, to };
  ranges.set(uid, { from: Math.min(from, known.from), to: Math.max(to, known.to) });
}

/** Adds what came after a part to it. */
function join(part: Part, { ranges, goneJobs, upTo }: Part): void {
  for (const [uid, range] of ranges) widen(part, uid, range);
  for (const uid of goneJobs) part.goneJobs.add(uid);
  part.upTo = upTo;
}

function inPairs(parts: readonly Part[]): Part[] {
  const joined: Part[] = [];
  for (const [at, part] of parts.entries()) {
    if (at % 2 === 0) joined.push(part);
    else join(joined.at(-1)!, part);
  }
  return joined;
}

function podCount({ ranges }: Part): number {
  let count = 0;
  for (const { from, to } of ranges.values()) count += to - from + 1;
  return count;
}
