import { ApiError } from './status.ts';

/**
 * Lets so many pieces of work go on at once, and the others wait for their turn: what each holds in
 * memory is bounded by that, however many ask.
 */
export class Turns {
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** @param maxWaiting - Of those that wait; whoever comes then is refused. */
  constructor(atOnce: number, maxWaiting: number) {
    this.#free = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** Does the work when it is its turn. @throws ApiError when too many wait already. */
  async run(work: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else {
      if (this.#waiting.length >= this.#maxWaiting) throw tooMany();
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    try {
      await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

function tooMany(): ApiError {
  const message = 'the server is currently unable to handle the request: too many lists wait';
  return new ApiError(429, 'TooManyRequests', message, { retryAfterSeconds: 1 });
}
