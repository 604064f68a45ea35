import { hostname } from 'node:os';

import { defineHandler } from '@drover/sdk/handlers';

/** Returns the square of the pod's index; what a handler returns is kept as the pod's result. */
export const square = defineHandler('square', ({ index, log }) => {
  log(`pod ${index ?? 0} runs in ${hostname()}`);
  return (index ?? 0) ** 2;
});

/** Counts the primes below ten thousand; it computes, so it has a thread for itself. */
export const primes = defineHandler(
  'primes',
  () => {
    const isComposite = new Uint8Array(10_000);
    let count = 0;
    for (let number = 2; number < isComposite.length; number++) {
      if (isComposite[number] === 1) continue;
      count += 1;
      for (let many = number * number; many < isComposite.length; many += number) {
        isComposite[many] = 1;
      }
    }
    return count;
  },
  { isolation: 'thread' },
);
