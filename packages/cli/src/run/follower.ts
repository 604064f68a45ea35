import type { Drover } from '@drover/sdk/client';
import {
  HOLD_ANNOTATION,
  NotFoundError,
  getCondition,
  isConditionTrue,
  terminalCondition,
  type Job,
  type Pod,
} from '@drover/shared';

import { EXIT, type ExitCode } from '../exitCodes.ts';
import { onInterrupt } from '../interrupt.ts';
import { OutputPrinter } from './output.ts';
import { failureNote, hasEnded } from './podNotes.ts';
import type { RunView } from './view.ts';

/** How a run is followed. */
export interface FollowOptions {
  /** `stream`: as the program writes it. `grouped`: of each pod when it ended. */
  readonly output: 'stream' | 'grouped' | 'none';
  /** Milliseconds; null = none. */
  readonly timeoutMs: number | null;
  /** The engine ends with this command: what is not done can't go on later. */
  readonly engineEnds: boolean;
}

/** How a run ended. */
export interface RunEnd {
  readonly exitCode: ExitCode;
  readonly job: Job;
}

type Outcome =
  | { readonly type: 'settled' | 'held' | 'deleted' | 'timeout' }
  | { readonly type: 'error'; readonly error: unknown };

/** On a terminal the figures are read so often; else they come with the Job's own changes. */
const REFRESH_MS = 250;
/** Without a sign of life for so long the user is told what is missing. */
const HINT_AFTER_MS = 3_000;
/** The controller ends a Job at its deadline; when there is none, we do. */
const TIMEOUT_SLACK_MS = 5_000;
/** Jobs with more pods are followed by their figures alone. */
const MAX_WATCHED_PODS = 100_000;
/** Lines of a failed pod's output that are shown with its failure. */
const TAIL_LINES = 5;

/** Follows a Job to its end: shows progress and failures, and acts on Ctrl-C. */
export class RunFollower {
  readonly #drover: Drover;
  readonly #view: RunView;
  readonly #options: FollowOptions;
  readonly #printer: OutputPrinter;
  readonly #outcome = Promise.withResolvers<Outcome>();
  readonly #ending = new AbortController();
  readonly #told = new Set<string>();
  readonly #startedMs = Date.now();
  #job: Job;
  #interrupts = 0;

  constructor(drover: Drover, job: Job, view: RunView, options: FollowOptions) {
    this.#drover = drover;
    this.#job = job;
    this.#view = view;
    this.#options = options;
    this.#printer = new OutputPrinter(drover, view);
  }

  /** Resolves when there is nothing more to follow. */
  async follow(): Promise<RunEnd> {
    const release = onInterrupt(() => this.#interrupt());
    const timers = this.#startTimers();
    const watching = [this.#watchJob()];
    // Of more pods than that the figures tell enough.
    if ((this.#job.spec.completions ?? 1) <= MAX_WATCHED_PODS) watching.push(this.#watchPods());
    const watches = watching.map((watch) =>
      watch.catch((error: unknown) => this.#outcome.resolve({ type: 'error', error })),
    );
    try {
      const outcome = await this.#outcome.promise;
      for (const timer of timers) clearInterval(timer);
      return await this.#finish(outcome);
    } finally {
      for (const timer of timers) clearInterval(timer);
      release();
      this.#ending.abort();
      await Promise.all(watches);
      this.#view.close();
    }
  }

  #startTimers(): NodeJS.Timeout[] {
    const timers = [setTimeout(() => void this.#hint(), HINT_AFTER_MS)];
    if (process.stderr.isTTY && this.#options.output !== 'stream') {
      timers.push(setInterval(() => void this.#refresh(), REFRESH_MS));
    }
    const { timeoutMs } = this.#options;
    if (timeoutMs !== null) {
      const giveUp = () => this.#outcome.resolve({ type: 'timeout' });
      timers.push(setTimeout(giveUp, timeoutMs + TIMEOUT_SLACK_MS));
    }
    return timers;
  }

  async #watchJob(): Promise<void> {
    const { name, namespace, uid } = this.#job.metadata;
    const watch = this.#drover.jobs.watch({ name, namespace, signal: this.#ending.signal });
    for await (const { type, job } of watch) {
      if (type === 'DELETED' || job.metadata.uid !== uid) {
        this.#outcome.resolve({ type: 'deleted' });
        return;
      }
      this.#update(job);
    }
  }

  #update(job: Job): void {
    this.#job = job;
    const { active = 0, terminating = 0 } = job.status;
    this.#view.progress(figuresOf(job));
    if (terminalCondition(job.status.conditions) !== null) {
      this.#outcome.resolve({ type: 'settled' });
    } else if (this.#interrupts > 0 && isHeld(job) && active === 0 && terminating === 0) {
      this.#outcome.resolve({ type: 'held' });
    }
  }

  async #watchPods(): Promise<void> {
    const signal = this.#ending.signal;
    for await (const { type, pod } of this.#drover.pods.watch({ job: this.#job, signal })) {
      if (type !== 'DELETED') this.#onPod(pod);
    }
  }

  #onPod(pod: Pod): void {
    if (this.#options.output === 'stream') this.#printer.stream(pod);
    if (!hasEnded(pod) || this.#told.has(pod.metadata.uid)) return;
    this.#told.add(pod.metadata.uid);
    if (this.#options.output === 'grouped') this.#printer.print(pod);
    if (pod.status.phase !== 'Failed') return;
    const tailLines = this.#options.output === 'none' ? TAIL_LINES : 0;
    this.#printer.note(failureNote(pod), pod, tailLines);
  }

  async #refresh(): Promise<void> {
    try {
      const job = await this.#drover.jobs.get(this.#job);
      if (terminalCondition(job.status.conditions) === null) this.#view.progress(figuresOf(job));
    } catch {
      // The watch tells what is wrong.
    }
  }

  async #hint(): Promise<void> {
    try {
      const job = await this.#drover.jobs.get(this.#job);
      if (job.status.startTime === undefined && !job.spec.suspend) {
        this.#view.note(
          'waiting: no controller has looked at the Job; is `drover controller` running?',
        );
        return;
      }
      const [pod] = await this.#drover.pods.list({ job, phase: 'Pending', limit: 1 });
      const scheduled = pod?.status.conditions?.find(({ type }) => type === 'PodScheduled');
      if (scheduled?.message?.startsWith('no worker') === true && (job.status.ready ?? 0) === 0) {
        this.#view.note(`waiting: ${scheduled.message}`);
      }
    } catch {
      // A hint only.
    }
  }

  #interrupt(): void {
    this.#interrupts += 1;
    if (this.#interrupts === 1) void this.#hold();
    else if (this.#interrupts === 2) void this.#delete();
    else process.exit(EXIT.interrupted);
  }

  async #hold(): Promise<void> {
    try {
      const job = await this.#drover.jobs.patch(this.#job, {
        metadata: { annotations: { [HOLD_ANNOTATION]: 'true' } },
      });
      const { active = 0 } = job.status;
      const running = `${active} running ${active === 1 ? 'one goes' : 'ones go'} on`;
      this.#view.note(`Ctrl-C: no further pods start, ${running}; again: delete the Job`);
      this.#update(job);
    } catch (error) {
      if (!(error instanceof NotFoundError)) this.#outcome.resolve({ type: 'error', error });
    }
  }

  async #delete(): Promise<void> {
    this.#view.note('Ctrl-C again: deleting the Job');
    try {
      await this.#drover.jobs.delete(this.#job);
    } catch (error) {
      if (!(error instanceof NotFoundError)) this.#outcome.resolve({ type: 'error', error });
    }
  }

  async #finish(outcome: Outcome): Promise<RunEnd> {
    switch (outcome.type) {
      case 'error':
        throw outcome.error;
      case 'settled':
        await this.#tellRest();
        return this.#end(this.#settledCode());
      case 'held':
        await this.#tellRest();
        await this.#park();
        return this.#end(EXIT.interrupted);
      case 'deleted':
        if (this.#interrupts === 0) this.#view.note('the Job was deleted');
        return this.#end(this.#interrupts > 0 ? EXIT.interrupted : EXIT.failed);
      case 'timeout':
        await this.#drover.jobs.delete(this.#job);
        this.#view.note('timed out: no controller ended the Job in time; it was deleted');
        return this.#end(EXIT.timedOut);
    }
  }

  #end(exitCode: ExitCode): RunEnd {
    return { exitCode, job: this.#job };
  }

  /** What ended since the last event, and what is still being printed. */
  async #tellRest(): Promise<void> {
    if (this.#options.output !== 'none') {
      for await (const pod of this.#drover.pods.iterate({ job: this.#job })) this.#onPod(pod);
    }
    await this.#printer.close();
    this.#view.progress(figuresOf(this.#job));
    this.#view.close();
  }

  #settledCode(): ExitCode {
    const { conditions, succeeded = 0, failed = 0 } = this.#job.status;
    const { name } = this.#job.metadata;
    const seconds = ((Date.now() - this.#startedMs) / 1000).toFixed(1);
    const isComplete = isConditionTrue(conditions, 'Complete');
    const failure = getCondition(conditions, 'Failed');
    if (!isComplete) {
      this.#view.note(`job/${name} failed: ${failure?.reason}: ${failure?.message}`);
    } else if (this.#options.output !== 'stream') {
      const pods = `${failed} ${failed === 1 ? 'pod' : 'pods'} failed and`;
      const retried = failed === 0 ? '' : `, ${pods} ${failed === 1 ? 'was' : 'were'} replaced`;
      this.#view.note(`job/${name} complete: ${succeeded} succeeded in ${seconds} s${retried}`);
    }
    if (this.#interrupts > 0) return EXIT.interrupted;
    if (isComplete) return EXIT.ok;
    return failure?.reason === 'DeadlineExceeded' ? EXIT.timedOut : EXIT.failed;
  }

  /** After Ctrl-C the Job waits, suspended, for the user to resume it; unless the engine ends. */
  async #park(): Promise<void> {
    const { name } = this.#job.metadata;
    const { succeeded = 0 } = this.#job.status;
    const done = `${succeeded} of ${this.#job.spec.completions ?? 1} done`;
    if (this.#options.engineEnds) {
      this.#view.note(`stopped: ${done}`);
      return;
    }
    await this.#drover.jobs.patch(this.#job, {
      metadata: { annotations: { [HOLD_ANNOTATION]: null } },
      spec: { suspend: true },
    });
    this.#view.note(
      `stopped: ${done}; the Job is suspended. \`drover resume job/${name}\` lets it go on, \`drover delete job/${name}\` removes it`,
    );
  }
}

function isHeld({ metadata }: Job): boolean {
  return metadata.annotations?.[HOLD_ANNOTATION] === 'true';
}

function figuresOf({ spec, status }: Job) {
  return {
    total: spec.completions ?? 1,
    done: status.succeeded ?? 0,
    running: status.ready ?? 0,
    failed: status.failed ?? 0,
  };
}
