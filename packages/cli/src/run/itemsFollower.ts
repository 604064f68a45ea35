import { setTimeout as delay } from 'node:timers/promises';

import type { DeadItem, Drover, PodEnd } from '@drover/sdk/client';
import { getCondition, type Job } from '@drover/shared';

import { hintsFor, MAX_TOLD_PROBLEMS } from '../enqueue/check.ts';
import type { LineProblem } from '../enqueue/feed.ts';
import { ItemPump, type PumpPlan } from '../enqueue/pump.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { truncate } from '../text/table.ts';
import type { PodFollower, RunControl } from './follower.ts';
import { LinePrinter } from './linePrinter.ts';
import type { Figures, RunView } from './view.ts';

/** Options of {@link ItemsFollower}. */
export interface ItemsFollowerOptions {
  readonly drover: Drover;
  readonly job: Job;
  readonly view: RunView;
  readonly pump: PumpPlan;
  /** What the pods write is printed. */
  readonly printsOutput: boolean;
  /** In which order results are printed; null = they are not. */
  readonly results: 'completion' | 'enqueue' | null;
}

/** Counts of the items of a run. */
export interface ItemCounts {
  readonly enqueued: number;
  readonly completed: number;
  /** Dead-lettered. */
  readonly failed: number;
  /** Neither of both: they were not run, or not to the end. */
  readonly left: number;
  /** Lines that were passed over. */
  readonly skipped: number;
}

/** How often the counts are read. */
const REFRESH_MS = 250;
/** Items that failed for good which are told one by one. */
const MAX_TOLD_FAILURES = 20;
/** Characters of an item's data in a note. */
const MAX_DATA_CHARS = 60;

/** Puts items into the work queue of a Job and follows them: counts, failures, results, and what the pods print. */
export class ItemsFollower implements PodFollower {
  readonly deletedCode = EXIT.failed;
  readonly #options: ItemsFollowerOptions;
  readonly #pump: ItemPump;
  readonly #lines: LinePrinter | null;
  readonly #noMore = new AbortController();
  readonly #noMoreResults = new AbortController();
  readonly #toldFailures = new Set<number>();
  readonly #toldPods = new Set<number>();
  /** Only where some may be missed otherwise. */
  readonly #printed = new Set<number>();
  #printing: Promise<void> = Promise.resolve();
  #counts = { completed: 0, failed: 0, left: 0 };
  #skipped = 0;
  #isFed = false;
  /** The user wants no further items to be run. */
  #isInterrupted = false;

  constructor(options: ItemsFollowerOptions) {
    this.#options = options;
    const { drover, job, view, pump } = options;
    this.#pump = new ItemPump(drover, pump, {
      onSkipped: (problem) => this.#onSkipped(problem),
      onProgress: () => undefined,
    });
    const sourceOf = () => ({ tag: '', name: 'a pod' });
    this.#lines = options.printsOutput ? new LinePrinter({ drover, job, view, sourceOf }) : null;
  }

  /** What is known of the items; complete when the run has ended. */
  get counts(): ItemCounts {
    return { enqueued: this.#pump.enqueued, ...this.#counts, skipped: this.#skipped };
  }

  async follow(_control: RunControl, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => {
      this.#noMore.abort();
      this.#noMoreResults.abort();
    });
    this.#printing = this.#printResults();
    // Told by who waits for it.
    this.#printing.catch(() => undefined);
    await Promise.all([
      this.#feed(),
      this.#watchItems(signal),
      this.#watchPods(signal),
      this.#lines?.follow(signal),
      this.#printing,
    ]);
  }

  async finish(): Promise<void> {
    this.#noMore.abort();
    await this.#readCounts();
    await this.#tellFailures();
    const untold = this.#counts.failed - this.#toldFailures.size;
    if (untold > 0) this.#options.view.note(`and ${untold} more items failed`);
    await this.#tellRestOfPods();
    if (this.#counts.left > 0) this.#noMoreResults.abort();
    await this.#printing;
    if (this.#counts.left > 0) await this.#printMissedResults();
    await this.#options.view.drained();
  }

  figures({ status }: Job): Figures {
    const { completed, failed } = this.#counts;
    const total = this.#options.pump.itemCount ?? this.#pump.enqueued;
    const isGrowing = !this.#isFed && this.#options.pump.itemCount === null;
    return { total, done: completed + failed, running: status.ready ?? 0, failed, isGrowing };
  }

  interrupt(): string {
    this.#isInterrupted = true;
    this.#noMore.abort();
    return 'Ctrl-C: no further items are begun, those that run go on; again: delete the Job';
  }

  settle({ metadata, status }: Job, seconds: string): number {
    const { view } = this.#options;
    const { completed, failed, left } = this.#counts;
    const name = `job/${metadata.name}`;
    const counts = [
      countText(completed, 'item', 'completed'),
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(left > 0 ? [`${left} left`] : []),
      ...(this.#skipped > 0 ? [countText(this.#skipped, 'line', 'skipped')] : []),
    ].join(', ');
    const failure = getCondition(status.conditions, 'Failed');
    if (failure !== null) {
      view.note(`${name} failed: ${failure.reason}: ${failure.message}`);
      view.note(counts);
      return failure.reason === 'DeadlineExceeded' ? EXIT.timedOut : EXIT.failed;
    }
    view.note(`${name} ${left > 0 ? 'ended' : 'complete'}: ${counts} in ${seconds} s`);
    return failed > 0 || left > 0 ? EXIT.failed : EXIT.ok;
  }

  async #feed(): Promise<void> {
    const { signal } = this.#noMore;
    const { badLine, skipped } = await this.#pump.run(signal);
    this.#skipped = skipped;
    if (badLine !== null) this.#breakOff(badLine);
    if (signal.aborted && !this.#isInterrupted) return;
    await this.#queue.seal();
    this.#isFed = true;
  }

  /** @throws CliError */
  #breakOff(badLine: LineProblem): never {
    const { enqueued } = this.#pump;
    const before =
      enqueued === 0
        ? 'Nothing was run.'
        : `The items before it were enqueued, and may have run: ${enqueued}. The Job is deleted.`;
    throw badInput(`${badLine.at}: ${badLine.problem}`, [
      before,
      '--skip-invalid passes over bad lines.',
      ...hintsFor(badLine, this.#options.pump.format),
    ]);
  }

  #onSkipped({ at, problem }: LineProblem): void {
    this.#skipped += 1;
    if (this.#skipped <= MAX_TOLD_PROBLEMS) this.#options.view.note(`skipped ${at}: ${problem}`);
  }

  async #watchItems(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // What workers have at hand goes back when nobody takes it: again and again.
      if (this.#isInterrupted) await this.#queue.clear();
      await this.#readCounts();
      await this.#tellFailures();
      await delay(REFRESH_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #readCounts(): Promise<void> {
    const { status } = await this.#queue.get();
    const { completed = 0, dead = 0, unsettled = 0, cleared = 0 } = status ?? {};
    this.#counts = { completed, failed: dead, left: unsettled + cleared };
  }

  async #tellFailures(): Promise<void> {
    const told = this.#toldFailures;
    if (told.size >= Math.min(this.#counts.failed, MAX_TOLD_FAILURES)) return;
    const items: DeadItem[] = [];
    for await (const item of this.#queue.deadLetters()) {
      if (told.has(item.id)) continue;
      items.push(item);
      told.add(item.id);
      if (told.size === MAX_TOLD_FAILURES) break;
    }
    for (const item of items.toSorted((a, b) => a.id - b.id)) {
      this.#options.view.note(failureNote(item));
    }
  }

  async #watchPods(signal: AbortSignal): Promise<void> {
    const { drover, job } = this.#options;
    for await (const batch of drover.pods.ends(job, { signal })) await this.#tellEnds(batch);
  }

  /** What ended since the last look. Of pods that were stopped nothing is recorded. */
  async #tellRestOfPods(): Promise<void> {
    const { drover, job } = this.#options;
    const over = new AbortController();
    for await (const batch of drover.pods.ends(job, { signal: over.signal })) {
      await this.#tellEnds(batch);
      break;
    }
    over.abort();
  }

  async #tellEnds(batch: readonly PodEnd[]): Promise<void> {
    const fresh = batch.filter(({ podNumber }) => !this.#toldPods.has(podNumber));
    for (const { podNumber } of fresh) this.#toldPods.add(podNumber);
    await this.#lines?.take(fresh);
    for (const end of fresh) {
      if (end.outcome === 'Failed') this.#options.view.note(`a pod failed: ${podFailure(end)}`);
    }
  }

  async #printResults(): Promise<void> {
    const { results: order, view } = this.#options;
    if (order === null) return;
    const { signal } = this.#noMoreResults;
    for await (const result of this.#queue.results({ order, follow: true, signal })) {
      this.#printed.add(result.id);
      view.output('stdout', `${JSON.stringify(result)}\n`);
      await view.drained();
    }
  }

  /** Of a run that did not come to the end of its items. */
  async #printMissedResults(): Promise<void> {
    const { results: order, view } = this.#options;
    if (order === null) return;
    for await (const result of this.#queue.results({ order })) {
      if (!this.#printed.has(result.id)) view.output('stdout', `${JSON.stringify(result)}\n`);
    }
  }

  get #queue() {
    return this.#options.drover.workQueue(this.#options.pump.queue);
  }
}

function countText(count: number, noun: string, what: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'} ${what}`;
}

/** `item 7 ("a.png") failed: exit code 3: ...`; further lines of the error below it. */
function failureNote({ id, data, error, attempts }: DeadItem): string {
  const [first = '', ...rest] = error.split('\n');
  const tries = attempts === 1 ? '' : ` ${attempts} times`;
  const head = `item ${id} (${truncate(JSON.stringify(data), MAX_DATA_CHARS)}) failed${tries}: ${first}`;
  return [head, ...rest.map((line) => `  | ${line}`)].join('\n');
}

function podFailure({ exitCode, reason, overlay }: PodEnd): string {
  return overlay?.message ?? (reason === 'Error' ? `exit code ${exitCode}` : reason);
}
