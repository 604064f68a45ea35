import assert from 'node:assert/strict';

/** How a {@link Gather} sends what it gathered; its bounds are those of a script's time. */
export interface GatherLimits<Input> {
  /** Most calls, >= 1. */
  readonly calls: number;
  /** Most weight of all calls together; a single one may have more. Default: not looked at. */
  readonly weight?: number;
  /** Weight of a call. Default 0. */
  readonly weightOf?: (input: Input) => number;
  /**
   * Whether an error may be that of one call only: then each is done by itself, so that one can not
   * take the others with it. What was done may be done twice by that. Default: never.
   */
  readonly isOfOne?: (error: unknown) => boolean;
}

interface Waiting<Input, Output> {
  readonly input: Input;
  readonly resolve: (output: Output) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers the calls of one tick and has them done together: many small Jobs then cost little
 * more than a large one. A single call waits for nothing but the end of the tick.
 */
export class Gather<Input, Output> {
  readonly #run: (inputs: readonly Input[]) => Promise<readonly Output[]>;
  readonly #limits: GatherLimits<Input>;
  #waiting: Waiting<Input, Output>[] = [];
  #weight = 0;
  readonly #sendWaiting = (): void => this.#send();

  /** @param run - Does the calls; answers in their order, or rejects for all of them. */
  constructor(
    limits: GatherLimits<Input>,
    run: (inputs: readonly Input[]) => Promise<readonly Output[]>,
  ) {
    this.#limits = limits;
    this.#run = run;
  }

  /** Has a call done with the others of this tick; at once when these are as many as may be. */
  call(input: Input): Promise<Output> {
    const { calls, weight = Number.POSITIVE_INFINITY, weightOf } = this.#limits;
    const ownWeight = weightOf === undefined ? 0 : weightOf(input);
    if (this.#weight + ownWeight > weight) this.#send();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject });
      this.#weight += ownWeight;
      // A tick runs when all settled promises were handled: what goes on together goes together.
      if (this.#waiting.length === 1) process.nextTick(this.#sendWaiting);
      if (this.#waiting.length >= calls) this.#send();
    });
  }

  #send(): void {
    const sent = this.#waiting;
    if (sent.length === 0) return;
    this.#waiting = [];
    this.#weight = 0;
    this.#do(sent);
  }

  #do(calls: readonly Waiting<Input, Output>[]): void {
    this.#run(calls.map((one) => one.input)).then(
      (outputs) => {
        assert.equal(outputs.length, calls.length, 'an answer to each call');
        for (const [i, one] of calls.entries()) one.resolve(outputs[i]!);
      },
      (error: unknown) => {
        if (calls.length > 1 && this.#limits.isOfOne?.(error) === true) {
          for (const one of calls) this.#do([one]);
        } else for (const one of calls) one.reject(error);
      },
    );
  }
}
