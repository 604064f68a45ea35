import { constants } from 'node:os';

import type { Drover, PodEnd } from '@drover/sdk/client';
import { getCondition, isConditionTrue, type Job } from '@drover/shared';

import { EXIT } from '../exitCodes.ts';
import type { PodFollower, RunControl } from './follower.ts';
import type { JoblogWriter } from './joblog.ts';
import { LinePrinter, type LineSource, type PodPlace } from './linePrinter.ts';
import type { ListPlan } from './listPlan.ts';
import { ListPrinter, type EndedItem } from './listPrinter.ts';
import type { Figures, RunView } from './view.ts';

/** Options of {@link ListFollower}. */
export interface ListFollowerOptions {
  readonly drover: Drover;
  readonly job: Job;
  readonly view: RunView;
  readonly plan: ListPlan;
  readonly output: 'grouped' | 'lines' | 'none';
  readonly keepsOrder: boolean;
  readonly resultsDir: string | null;
  readonly joblog: JoblogWriter | null;
  /** The engine is this command's own. */
  readonly isEmbedded: boolean;
}

/** Highest number of failures that an exit code tells; more are this and one. */
const MAX_COUNTED_FAILURES = 100;
/** Shortest time between two reads of the pods that ended. */
const INTERVAL_MS = 30;
/** Numbers of failed runs that are named at the end. */
const NAMED_FAILURES = 8;

/** How a run of a command ended, as a shell sees it. */
interface Outcome {
  /** -1 after a timeout; 0 when a signal ended it. */
  readonly exitValue: number;
  /** Number of the signal that ended it; 0 = none. */
  readonly signal: number;
}

/** Follows the runs of a list: prints them, writes the job log, counts failures, and halts. */
export class ListFollower implements PodFollower {
  readonly deletedCode = EXIT.badList;
  readonly #options: ListFollowerOptions;
  readonly #printer: ListPrinter;
  readonly #lines: LinePrinter | null;
  readonly #told = new Set<number>();
  /** Numbers of arguments whose run failed, the first few. */
  readonly #failedSeqs: number[] = [];
  readonly #counts = { success: 0, fail: 0, skipped: 0 };
  /** The exit code that `--halt` asks for, once it did. */
  #haltCode: number | null = null;
  #control: RunControl | null = null;
  readonly #all = Promise.withResolvers<void>();
  #lastBatch: Promise<void> = Promise.resolve();

  constructor(options: ListFollowerOptions) {
    this.#options = options;
    const { drover, job, view, plan, output, joblog } = options;
    this.#printer = new ListPrinter({
      drover,
      job,
      view,
      keepsOrder: options.keepsOrder,
      output,
      tagOf: plan.tagOf,
      resultsDir: options.resultsDir,
      countsBytes: joblog !== null,
      removesLogs: options.isEmbedded && output !== 'lines',
    });
    this.#all.promise.catch(() => undefined);
    const sourceOf = ({ index }: PodPlace): LineSource | null => {
      const item = plan.items[index];
      return item === undefined ? null : { tag: plan.tagOf(item), name: `number ${item.seq}` };
    };
    this.#lines = output === 'lines' ? new LinePrinter({ drover, job, view, sourceOf }) : null;
  }

  async follow(control: RunControl, signal: AbortSignal): Promise<void> {
    this.#control = control;
    await Promise.all([this.#followEnds(signal), this.#lines?.follow(signal)]);
  }

  async #followEnds(signal: AbortSignal): Promise<void> {
    const { drover, job } = this.#options;
    const ends = drover.pods.ends(job, { signal, intervalMs: INTERVAL_MS });
    for await (const batch of ends) await this.#take(batch);
  }

  async finish(job: Job): Promise<void> {
    const isComplete = isConditionTrue(job.status.conditions, 'Complete');
    // All of them were run: what is not told yet is on its way. Else who is missing never ran.
    if (isComplete) await this.#all.promise;
    else await this.#takeRest();
    await this.#printer.close();
    await this.#options.view.drained();
  }

  figures({ status }: Job): Figures {
    const { success, fail, skipped } = this.#counts;
    const total = this.#options.plan.items.length;
    return { total, done: success + fail + skipped, running: status.ready ?? 0, failed: fail };
  }

  settle(job: Job): number {
    const { view } = this.#options;
    const { fail, skipped } = this.#counts;
    const failure = getCondition(job.status.conditions, 'Failed');
    if (failure !== null) {
      view.note(`job/${job.metadata.name} failed: ${failure.reason}: ${failure.message}`);
      return EXIT.badList;
    }
    const total = this.#options.plan.items.length;
    if (fail > 0) {
      const more = fail > this.#failedSeqs.length ? ', ...' : '';
      view.note(`${fail} of ${total} failed: number ${this.#failedSeqs.join(', ')}${more}`);
    }
    if (this.#haltCode === null) return Math.min(fail, MAX_COUNTED_FAILURES + 1);
    const left = total - this.#counts.success - fail;
    if (left > 0) view.note(`halted: ${left} ${left === 1 ? 'was' : 'were'} not run to the end`);
    else if (skipped > 0) view.note(`halted: ${skipped} were not run`);
    return this.#haltCode;
  }

  /** Reads once more what ended, since nothing more will. */
  async #takeRest(): Promise<void> {
    const { drover, job } = this.#options;
    const controller = new AbortController();
    for await (const batch of drover.pods.ends(job, { signal: controller.signal })) {
      await this.#take(batch);
      break;
    }
    controller.abort();
  }

  /** One batch after the other, whoever read it. */
  async #take(batch: readonly PodEnd[]): Promise<void> {
    const turn = this.#lastBatch.then(() => this.#takeBatch(batch));
    this.#lastBatch = turn.catch(() => undefined);
    try {
      await turn;
    } catch (error) {
      // Who waits for the last run waits in vain.
      this.#all.reject(error);
      throw error;
    }
  }

  async #takeBatch(batch: readonly PodEnd[]): Promise<void> {
    const { plan, joblog, view, job } = this.#options;
    const ended: EndedItem[] = [];
    for (const end of batch.toSorted((a, b) => a.endMs - b.endMs || a.podNumber - b.podNumber)) {
      const item = plan.items[end.index];
      // A pod that was lost, or stopped, is not the end of its run.
      if (item === undefined || end.outcome === 'Failed' || this.#told.has(end.index)) continue;
      this.#told.add(end.index);
      if (end.reason === 'Deleted') {
        this.#counts.skipped += 1;
        await this.#printer.skip(end.index);
        continue;
      }
      ended.push({ item, end });
      this.#count(item.seq, outcomeOf(end));
    }
    await this.#lines?.take(ended.map(({ end }) => end));
    const sizes = await this.#printer.take(ended);
    joblog?.write(ended.map((one, i) => this.#entry(one, sizes[i] ?? 0)));
    view.progress(this.figures(job));
    await view.drained();
    if (this.#told.size >= plan.items.length) this.#all.resolve();
  }

  #count(seq: number, outcome: Outcome): void {
    const hasFailed = outcome.exitValue !== 0 || outcome.signal !== 0;
    this.#counts[hasFailed ? 'fail' : 'success'] += 1;
    if (hasFailed && this.#failedSeqs.length < NAMED_FAILURES) this.#failedSeqs.push(seq);
    const { halt } = this.#options.plan;
    if (halt === null || this.#haltCode !== null) return;
    const { success, fail } = this.#counts;
    const { on, amount, when } = halt.rule;
    const isCounted = on === 'done' || (on === 'fail') === hasFailed;
    const reached = { fail, success, done: success + fail }[on];
    if (!isCounted || reached < halt.count) return;
    this.#haltCode = this.#codeAtHalt(on === 'success', 'percent' in amount, halt.count, outcome);
    this.#options.view.note(
      `halting: number ${seq} ${hasFailed ? `failed with ${describe(outcome)}` : 'succeeded'}`,
    );
    if (when === 'now') this.#control?.stopPods().catch(() => undefined);
  }

  /** As GNU parallel: that of the one that halts, or how many failed, or how many percent. */
  #codeAtHalt(onSuccess: boolean, isPercent: boolean, count: number, last: Outcome): number {
    if (onSuccess) return EXIT.ok;
    const { fail } = this.#counts;
    if (isPercent) return Math.ceil((fail / this.#options.plan.items.length) * 100);
    if (count > 1) return Math.min(fail, MAX_COUNTED_FAILURES + 1);
    if (last.exitValue > 0) return last.exitValue;
    return last.signal > 0 ? 128 + last.signal : last.exitValue === 0 ? 0 : 1;
  }

  #entry({ item, end }: EndedItem, receivedBytes: number) {
    return {
      seq: item.seq,
      host: this.#options.isEmbedded ? ':' : end.nodeName,
      startMs: end.startMs,
      runtimeMs: end.endMs - end.startMs,
      receivedBytes,
      ...outcomeOf(end),
      command: this.#options.plan.textOf(item),
    };
  }
}

function outcomeOf({ exitCode, reason, overlay }: PodEnd): Outcome {
  const name = overlay?.signal as keyof typeof constants.signals | undefined;
  const signal = name === undefined ? 0 : (constants.signals[name] ?? 0);
  if (reason === 'DeadlineExceeded') {
    return { exitValue: -1, signal: signal === 0 ? constants.signals.SIGTERM : signal };
  }
  return signal > 0 ? { exitValue: 0, signal } : { exitValue: exitCode, signal: 0 };
}

function describe({ exitValue, signal }: Outcome): string {
  if (exitValue === -1) return 'a timeout';
  return signal > 0 ? `signal ${signal}` : `exit code ${exitValue}`;
}
