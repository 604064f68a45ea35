/**
 * Runs several asynchronous generators side by side and yields what each gives as it comes. Ends
 * when all have ended; the first error ends it.
 *
 * @param stop - Makes the sources end what they wait for; a generator that waits can't be closed.
 */
export async function* mergeAll<T>(
  sources: readonly AsyncGenerator<T>[],
  stop: () => void,
): AsyncGenerator<T> {
  const steps = new Map(sources.map((source) => [source, step(source)]));
  try {
    while (steps.size > 0) {
      const { source, result } = await Promise.race(steps.values());
      if (result.done === true) {
        steps.delete(source);
        continue;
      }
      steps.set(source, step(source));
      yield result.value;
    }
  } finally {
    stop();
    // Some may have failed because they were stopped.
    await Promise.allSettled(steps.values());
    await Promise.allSettled(sources.map((source) => source.return(undefined)));
  }
}

async function step<T>(
  source: AsyncGenerator<T>,
): Promise<{ source: AsyncGenerator<T>; result: IteratorResult<T> }> {
  return { source, result: await source.next() };
}
