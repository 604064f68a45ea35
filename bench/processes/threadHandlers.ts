/** The same handlers on the event loop and in threads. */
import { defineHandler } from '@drover/sdk/handlers';

const THREAD = { isolation: 'thread', module: import.meta.url } as const;
/** Takes about 20 ms. Work and not time: on a busy machine a thread gets less done in the same time. */
const ROOTS = 12_000_000;

function compute(): number {
  let sum = 0;
  for (let number = 0; number < ROOTS; number += 1) sum += Math.sqrt(number);
  return sum;
}

export const handlers = [
  defineHandler('noop', () => {}),
  defineHandler('noop-thread', () => {}, THREAD),
  defineHandler('compute', compute),
  defineHandler('compute-thread', compute, THREAD),
];
