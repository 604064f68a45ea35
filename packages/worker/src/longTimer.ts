import { MAX_TIMER_MS } from '@drover/shared';

/** Calls back once when a time is over, which may be many years from now. Answers how that is prevented. */
export function afterTime(ms: number, callback: () => void): () => void {
  const endMs = performance.now() + ms;
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) callback();
    else timer = setTimeout(wait, Math.min(MAX_TIMER_MS, Math.ceil(leftMs)));
  };
  timer = setTimeout(wait, Math.min(MAX_TIMER_MS, ms));
  return () => clearTimeout(timer);
}
