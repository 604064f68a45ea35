import type { Drover } from '@drover/sdk/client';
import { HOLD_ANNOTATION, NotFoundError, terminalCondition, type Job } from '@drover/shared';

import { EXIT } from '../exitCodes.ts';
import { onInterrupt } from '../interrupt.ts';
import { onOutputClosed } from '../outputClosed.ts';
import type { Figures, RunView } from './view.ts';

/** How a run is followed. */
export interface FollowOptions {
  /** Milliseconds until the Job should have failed at its deadline; null = it has none. */
  readonly timeoutMs: number | null;
  /** The engine ends with this command: what is not done can't go on later. */
  readonly engineEnds: boolean;
  /** The figures are shown while they move. */
  readonly isShown: boolean;
}

/** How a run ended. */
export interface RunEnd {
  readonly exitCode: number;
  readonly job: Job;
}

/** What is made of the pods of a Job that is followed. */
export interface PodFollower {
  /** Follows the pods until the signal. */
  follow(control: RunControl, signal: AbortSignal): Promise<void>;
  /** The pods have ended: tells what was not told yet. */
  finish(job: Job): Promise<void>;
  /** Where the Job stands. */
  figures(job: Job): Figures;
  /**
   * The user pressed Ctrl-C for the first time: sees to it that the Job soon ends of itself, and answers what the user is
   * told. Without it the pods that run go on to their ends, and no further ones start.
   */
  interrupt?(): string;
  /** The exit code when the Job was deleted by somebody else. */
  readonly deletedCode: number;
  /** Says the last words about a Job that came to its end; answers the exit code. */
  settle(job: Job, seconds: string): number;
}

/** What can be done to a run by who follows its pods. */
export interface RunControl {
  /** Stops the pods that run and ends the run when they have ended. */
  stopPods(): Promise<void>;
}

type Outcome =
  | { readonly type: 'settled' | 'held' | 'stopped' | 'deleted' | 'timeout' | 'unread' }
  | { readonly type: 'error'; readonly error: unknown };

/** On a terminal the figures are read so often; else they come with the Job's own changes. */
const REFRESH_MS = 250;
/** Without a sign of life for so long the user is told what is missing. */
const HINT_AFTER_MS = 3_000;
/** The controller ends a Job at its deadline; when there is none, we do. */
const TIMEOUT_SLACK_MS = 5_000;

/** Follows a Job to its end: shows progress, acts on Ctrl-C, and leaves its pods to a {@link PodFollower}. */
export class RunFollower implements RunControl {
  readonly #drover: Drover;
  readonly #view: RunView;
  readonly #pods: PodFollower;
  readonly #options: FollowOptions;
  readonly #outcome = Promise.withResolvers<Outcome>();
  readonly #ending = new AbortController();
  readonly #startedMs = Date.now();
  #job: Job;
  #interrupts = 0;
  #isStopping = false;

  constructor(
    drover: Drover,
    job: Job,
    parts: { readonly view: RunView; readonly pods: PodFollower },
    options: FollowOptions,
  ) {
    this.#drover = drover;
    this.#job = job;
    this.#view = parts.view;
    this.#pods = parts.pods;
    this.#options = options;
  }

  /** Resolves when there is nothing more to follow. */
  async follow(): Promise<RunEnd> {
    const release = onInterrupt(() => this.#interrupt());
    const releaseOutput = onOutputClosed(() => this.#outcome.resolve({ type: 'unread' }));
    const timers = this.#startTimers();
    const watching = [this.#watchJob(), this.#pods.follow(this, this.#ending.signal)];
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
      releaseOutput();
      this.#ending.abort();
      await Promise.all(watches);
      this.#view.close();
    }
  }

  #startTimers(): NodeJS.Timeout[] {
    const timers = [setTimeout(() => void this.#hint(), HINT_AFTER_MS)];
    if (this.#options.isShown) {
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
    this.#view.progress(this.#pods.figures(job));
    if (terminalCondition(job.status.conditions) !== null) {
      this.#outcome.resolve({ type: 'settled' });
    } else if (this.#interrupts > 0 && isHeld(job) && active === 0 && terminating === 0) {
      this.#outcome.resolve({ type: 'held' });
    } else if (this.#isStopping && job.spec.suspend && active === 0 && terminating === 0) {
      this.#outcome.resolve({ type: 'stopped' });
    }
  }

  async stopPods(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#update(await this.#drover.jobs.suspend(this.#job));
  }

  async #refresh(): Promise<void> {
    try {
      const job = await this.#drover.jobs.get(this.#job);
      if (terminalCondition(job.status.conditions) === null) {
        this.#view.progress(this.#pods.figures(job));
      }
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
      const { ready = 0, succeeded = 0, failed = 0 } = job.status;
      // It goes on; and a look for a Pending one among a great many ended ones takes long.
      if (ready + succeeded + failed > 0) return;
      const [pod] = await this.#drover.pods.list({ job, phase: 'Pending', limit: 1 });
      const scheduled = pod?.status.conditions?.find(({ type }) => type === 'PodScheduled');
      if (scheduled?.message?.startsWith('no worker') === true) {
        this.#view.note(`waiting: ${scheduled.message}`);
      }
    } catch {
      // A hint only.
    }
  }

  #interrupt(): void {
    this.#interrupts += 1;
    if (this.#interrupts === 1) {
      if (this.#pods.interrupt === undefined) void this.#hold();
      else this.#view.note(this.#pods.interrupt());
    } else if (this.#interrupts === 2) void this.#delete();
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
      case 'stopped':
        await this.#tellRest();
        return this.#end(this.#settledCode());
      case 'unread':
        // Nobody reads what the programs print: as with any program in such a pipe, that is the end.
        this.#view.close();
        await this.#drover.jobs.delete(this.#job).catch(() => undefined);
        return this.#end(EXIT.brokenPipe);
      case 'held':
        await this.#tellRest();
        await this.#park();
        return this.#end(EXIT.interrupted);
      case 'deleted':
        if (this.#interrupts === 0) this.#view.note('the Job was deleted');
        return this.#end(this.#interrupts > 0 ? EXIT.interrupted : this.#pods.deletedCode);
      case 'timeout':
        await this.#drover.jobs.delete(this.#job);
        this.#view.note('timed out: no controller ended the Job in time; it was deleted');
        return this.#end(EXIT.timedOut);
    }
  }

  #end(exitCode: number): RunEnd {
    return { exitCode, job: this.#job };
  }

  /** What ended since the last event, and what is still being printed. */
  async #tellRest(): Promise<void> {
    await this.#pods.finish(this.#job);
    this.#view.progress(this.#pods.figures(this.#job));
    this.#view.close();
  }

  #settledCode(): number {
    const seconds = ((Date.now() - this.#startedMs) / 1000).toFixed(1);
    const exitCode = this.#pods.settle(this.#job, seconds);
    return this.#interrupts > 0 ? EXIT.interrupted : exitCode;
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
