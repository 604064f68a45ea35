import type { ArgumentListSettings } from '@drover/shared';
import { ARGUMENTS_PER_CHUNK, type Arguments, type Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan } from './jobPlan.ts';
import { SUCCEEDED, type PodEnd, type PodLane, type PodSink } from './runtime.ts';
import type { ListPort } from './shardPort.ts';

/** Chunks of a list that are kept: the lanes of a Job read near each other. */
const KEPT_CHUNKS = 4;
/** Longest time from SIGTERM to SIGKILL of a program that took too long. */
const TIMEOUT_GRACE_MS = 1_000;

/** The argument list of a Job, read chunk by chunk, once for all lanes of a worker. */
export class ArgumentList {
  readonly #read: (chunk: number) => Promise<readonly Arguments[] | null>;
  /** In order of use. */
  readonly #chunks = new Map<number, Promise<readonly Arguments[] | null>>();

  constructor(read: (chunk: number) => Promise<readonly Arguments[] | null>) {
    this.#read = read;
  }

  /** Arguments of an index; null when the list has none for it. */
  async at(index: number): Promise<Arguments | null> {
    const chunk = Math.floor(index / ARGUMENTS_PER_CHUNK);
    const words = (await this.#chunk(chunk))?.[index % ARGUMENTS_PER_CHUNK] ?? null;
    // The next one is there when it is needed.
    if (index % ARGUMENTS_PER_CHUNK === ARGUMENTS_PER_CHUNK / 2) {
      this.#chunk(chunk + 1).catch(() => undefined);
    }
    return words;
  }

  #chunk(chunk: number): Promise<readonly Arguments[] | null> {
    const known = this.#chunks.get(chunk);
    if (known !== undefined) return known;
    const reading = this.#read(chunk);
    reading.catch(() => this.#chunks.delete(chunk));
    this.#chunks.set(chunk, reading);
    const [oldest] = this.#chunks.keys();
    if (this.#chunks.size > KEPT_CHUNKS && oldest !== undefined) this.#chunks.delete(oldest);
    return reading;
  }
}

/** Options of {@link ListLane}. */
export interface ListLaneOptions {
  readonly plan: JobPlan;
  readonly settings: ArgumentListSettings;
  readonly list: ArgumentList;
  readonly port: ListPort;
  readonly sink: PodSink;
  /** Makes the lane that runs the programs. */
  readonly createLane: (sink: PodSink) => PodLane;
  readonly logger: Logger;
}

/** A pod that was not run, since the Job is halted; nothing else ends as Succeeded and Deleted. */
const SKIPPED: PodEnd = { ...SUCCEEDED, reason: 'Deleted' };

/**
 * Runs the pods of a Job with an argument list, on top of a lane that runs programs: gives each pod
 * its arguments, runs it again when it fails, and stops what takes too long.
 *
 * An index is done when its program ended, whatever its exit code, which stays in the pod's record.
 * A pod that was lost or told to stop is none of that: it ends as it would without a list.
 */
export class ListLane implements PodLane {
  readonly spent = false;
  readonly #options: ListLaneOptions;
  readonly #lane: PodLane;
  #ended: ((end: PodEnd) => void) | null = null;
  #stopped = false;

  constructor(options: ListLaneOptions) {
    this.#options = options;
    this.#lane = options.createLane({ podEnded: (end) => this.#ended?.(end) });
  }

  start(claim: Claim): void {
    this.#stopped = false;
    this.#run(claim).then(
      (end) => this.#options.sink.podEnded(end),
      (error: unknown) => {
        const { logger, plan, sink } = this.#options;
        logger.warn({ err: error, jobUid: plan.uid }, 'a pod of an argument list could not be run');
        // Redis did not answer, which is no fault of the pod: another one takes its place.
        sink.podEnded({ ...SUCCEEDED, outcome: 'Failed', exitCode: 137, reason: 'Drained' });
      },
    );
  }

  stop(graceMs: number): void {
    this.#stopped = true;
    this.#lane.stop(graceMs);
  }

  async #run(claim: Claim): Promise<PodEnd> {
    const { plan, list, port, settings } = this.#options;
    const { halt } = settings;
    if (halt !== null && (await port.endedIndexCount(plan.uid)) >= halt.count) return SKIPPED;
    const words = await list.at(claim.index);
    if (words === null) return missing(claim.index);
    if (this.#stopped) return { ...SUCCEEDED, outcome: 'Failed', exitCode: 143, reason: 'Error' };

    plan.setArguments(claim, words);
    let end: PodEnd;
    try {
      end = await this.#tries(claim);
    } finally {
      plan.setArguments(claim, null);
    }
    if (this.#stopped || end.reason === 'Drained') return end;
    if (halt !== null && (halt.on === 'done' || (halt.on === 'fail') === hasFailed(end))) {
      // Before the end is reported: no program starts that could have known better.
      await port.noteEndedIndex(plan.uid, claim.index);
    }
    return { ...end, outcome: 'Succeeded' };
  }

  async #tries(claim: Claim): Promise<PodEnd> {
    const { plan, port, settings } = this.#options;
    for (let tries = 1; ; tries++) {
      const end = await this.#runOnce(claim);
      const isOver = !hasFailed(end) || this.#stopped || end.reason === 'Drained';
      if (isOver || tries >= settings.tries) return end;
      // The log is that of the last try.
      if (!end.hasLog) continue;
      await port.removeLog(plan.uid, claim.podNumber);
      // The order found no program to stop.
      if (this.#stopped) return { ...end, hasLog: false };
    }
  }

  async #runOnce(claim: Claim): Promise<PodEnd> {
    const { timeoutMs } = this.#options.settings;
    const { promise, resolve } = Promise.withResolvers<PodEnd>();
    this.#ended = resolve;
    let timedOut = false;
    const timer =
      timeoutMs === null
        ? null
        : setTimeout(() => {
            timedOut = !this.#stopped;
            this.#lane.stop(Math.min(this.#options.plan.graceMs, TIMEOUT_GRACE_MS));
          }, timeoutMs);
    this.#lane.start(claim);
    const end = await promise;
    if (timer !== null) clearTimeout(timer);
    if (!timedOut || end.reason === 'Drained') return end;
    const message = `stopped after ${(timeoutMs ?? 0) / 1000} s`;
    const exitCode = end.exitCode === 0 ? 143 : end.exitCode;
    return { ...end, exitCode, reason: 'DeadlineExceeded', overlay: { ...end.overlay, message } };
  }
}

function hasFailed({ outcome }: PodEnd): boolean {
  return outcome === 'Failed';
}

function missing(index: number): PodEnd {
  const message = `the Job's argument list has no entry for index ${index}`;
  return {
    ...SUCCEEDED,
    outcome: 'Failed',
    exitCode: 128,
    reason: 'StartError',
    overlay: { message },
  };
}
