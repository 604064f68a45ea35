import { hostname } from 'node:os';

import { defineHandler } from '@drover/sdk';

/** Returns the square of the pod's index; what a handler returns is kept as the pod's result. */
export const square = defineHandler('square', ({ index, log }) => {
  log(`pod ${index ?? 0} runs in ${hostname()}`);
  return (index ?? 0) ** 2;
});
