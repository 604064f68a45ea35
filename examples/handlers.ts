// Handlers: functions that run as pods, without starting a process.
//   drover dev --handlers examples/handlers.ts
//   drover apply -f examples/handler.yaml
//   drover get pods -l job-name=primes -o yaml | grep result
import { defineHandler } from '@drover/sdk/handlers';

/** How many numbers each pod looks at. */
const RANGE = 100_000;

/**
 * Counts the primes of the pod's own range; what it returns is kept as the pod's result. It computes, so it
 * has a thread for itself: on the event loop it would hold up all other pods of its worker.
 */
export const primes = defineHandler(
  'primes',
  ({ index, progress, signal, log }) => {
    const from = (index ?? 0) * RANGE;
    let count = 0;
    for (let number = from; number < from + RANGE; number++) {
      if (isPrime(number)) count += 1;
      if (number % 10_000 !== 0) continue;
      progress((number - from) / RANGE);
      // A pod that is deleted should stop; in a thread the signal is heard also while it computes.
      signal.throwIfAborted();
    }
    log(`${count} primes from ${from} to ${from + RANGE}`);
    return { from, count };
  },
  { isolation: 'thread' },
);

/** Fails now and then, to show retries: each failure is counted, and its index runs again. */
export const flaky = defineHandler('flaky', ({ pod, log }) => {
  if (pod.number % 3 === 0) throw new Error(`pod ${pod.number} had no luck`);
  log(`pod ${pod.number} was lucky`);
});

function isPrime(number: number): boolean {
  if (number < 2) return false;
  for (let divisor = 2; divisor * divisor <= number; divisor++) {
    if (number % divisor === 0) return false;
  }
  return true;
}
