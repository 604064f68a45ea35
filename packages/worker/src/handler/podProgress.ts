/** How far a pod has come: a fraction from 0 to 1, or how many of how many are done. */
export type Progress = number | { readonly done: number; readonly total: number };

/** Shortest time between two writes of a pod's progress. */
const WRITE_INTERVAL_MS = 1_000;

/**
 * The progress of one pod, written at once and then at most every second; the last one counts.
 * Nothing waits for it, and nothing fails with it.
 */
export class PodProgress {
  readonly #write: (text: string | null) => void;
  #timer: NodeJS.Timeout | null = null;
  #waiting: string | null = null;
  #ended = false;

  /** @param write - Writes the text for those who look, or takes it away. Must not throw. */
  constructor(write: (text: string | null) => void) {
    this.#write = write;
  }

  /** @throws RangeError when it is not a progress. */
  show(progress: Progress): void {
    const text = textOf(progress);
    if (this.#ended) return;
    if (this.#timer === null) this.#writeNow(text);
    else this.#waiting = text;
  }

  /** The pod ended: its outcome says more. */
  end(): void {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#write(null);
  }

  #writeNow(text: string): void {
    this.#waiting = null;
    this.#write(text);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#waiting !== null) this.#writeNow(this.#waiting);
    }, WRITE_INTERVAL_MS);
  }
}

function textOf(progress: Progress): string {
  checkProgress(progress);
  return typeof progress === 'number' ? String(progress) : `${progress.done}/${progress.total}`;
}

/** @throws RangeError when it is not a progress. */
export function checkProgress(progress: Progress): void {
  const fraction = typeof progress === 'number' ? progress : progress.done / progress.total;
  // Written so that NaN is refused, too.
  if (!(fraction >= 0 && fraction <= 1)) {
    throw new RangeError(
      'progress is a fraction from 0 to 1, or { done, total } with done <= total',
    );
  }
}
