import type { Drover } from '@drover/sdk/client';

import { badInput, type CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { queueText } from '../queues.ts';
import type { ProgressStyle } from '../run/view.ts';
import { hintsFor, MAX_TOLD_PROBLEMS } from './check.ts';
import type { LineProblem } from './feed.ts';
import { createProgress, type EnqueueProgress } from './progress.ts';
import { ItemPump, type PumpPlan } from './pump.ts';

/** What is to be enqueued, and how. */
export interface EnqueuePlan extends PumpPlan {
  /** Seals the work queue at the end. */
  readonly seals: boolean;
  readonly asJson: boolean;
  readonly progressStyle: ProgressStyle;
}

/** Puts items into a work queue, and tells how far it is and what it did. */
export class EnqueueRun {
  readonly #drover: Drover;
  readonly #plan: EnqueuePlan;
  readonly #progress: EnqueueProgress;
  readonly #pump: ItemPump;
  readonly #startedMs = performance.now();
  #told = 0;

  constructor(drover: Drover, plan: EnqueuePlan) {
    this.#drover = drover;
    this.#plan = plan;
    this.#progress = createProgress(plan.queue, plan.progressStyle);
    this.#pump = new ItemPump(drover, plan, {
      onSkipped: (problem) => this.#onSkipped(problem),
      onProgress: (figures) => this.#progress.show(figures),
    });
  }

  /** @returns the exit code. */
  async run(signal: AbortSignal): Promise<number> {
    try {
      return await this.#run(signal);
    } finally {
      this.#progress.close();
    }
  }

  async #run(signal: AbortSignal): Promise<number> {
    const { badLine, skipped } = await this.#pumpAll(signal);
    this.#progress.close();
    if (badLine !== null) throw this.#brokenOff(badLine);
    if (signal.aborted) {
      process.stderr.write(`interrupted. ${this.#soFar()}\n`);
      return EXIT.interrupted;
    }
    if (this.#plan.seals) await this.#drover.workQueue(this.#plan.queue).seal();
    this.#print(skipped);
    return EXIT.ok;
  }

  async #pumpAll(signal: AbortSignal): ReturnType<ItemPump['run']> {
    try {
      return await this.#pump.run(signal);
    } catch (error) {
      this.#progress.close();
      // At least: what was on its way may have come.
      if (this.#pump.enqueued > 0) process.stderr.write(`broken off. ${this.#soFar()}\n`);
      throw error;
    }
  }

  #onSkipped({ at, problem }: LineProblem): void {
    this.#told += 1;
    if (this.#told <= MAX_TOLD_PROBLEMS) this.#progress.note(`skipped ${at}: ${problem}`);
  }

  #brokenOff(badLine: LineProblem): CliError {
    const { at, problem } = badLine;
    return badInput(`${at}: ${problem}`, [
      this.#soFar(),
      'Lines after it were not looked at. --skip-invalid passes over bad lines.',
      ...hintsFor(badLine, this.#plan.format),
    ]);
  }

  /** What is in the queue of an enqueue that did not come to its end. */
  #soFar(): string {
    const { enqueued, duplicates } = this.#pump;
    if (enqueued === 0) return `Nothing ${duplicates > 0 ? 'new ' : ''}was enqueued.`;
    const again =
      this.#plan.format.key === null
        ? 'the same again would enqueue them twice (--key prevents that)'
        : 'the same again adds the rest';
    return `${countText(enqueued, 'item')} ${enqueued === 1 ? 'is' : 'are'} enqueued: ${again}.`;
  }

  #print(skipped: number): void {
    const { enqueued, duplicates } = this.#pump;
    const { seals: sealed } = this.#plan;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    if (skipped > MAX_TOLD_PROBLEMS) {
      process.stderr.write(`and ${skipped - MAX_TOLD_PROBLEMS} more lines were skipped\n`);
    }
    if (this.#plan.asJson) {
      const { namespace } = this.#drover;
      const summary = {
        workQueue: this.#plan.queue,
        namespace,
        enqueued,
        duplicates,
        skipped,
        sealed,
      };
      const rounded = Math.round(seconds * 1000) / 1000;
      process.stdout.write(`${JSON.stringify({ ...summary, seconds: rounded }, null, 2)}\n`);
      return;
    }
    const rate = enqueued >= 1000 ? ` (${Math.round(enqueued / seconds)}/s)` : '';
    const parts = [
      `${countText(enqueued, 'item')} enqueued in ${seconds.toFixed(1)} s${rate}`,
      ...(duplicates > 0 ? [`${duplicates} had been enqueued before`] : []),
      ...(skipped > 0 ? [`${countText(skipped, 'line')} skipped`] : []),
      ...(sealed ? ['sealed'] : []),
    ];
    process.stdout.write(`${queueText(this.#plan.queue)}: ${parts.join(', ')}\n`);
  }
}

function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
