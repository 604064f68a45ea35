import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { PodProgress, Progress } from '../../handler/podProgress.ts';
import type { JobPlan } from '../../jobPlan.ts';
import { clipBytes, MAX_MESSAGE_BYTES } from '../../text.ts';
import { SUCCEEDED, type PodEnd, type PodLane, type PodSink } from '../../runtime.ts';
import type { PodSockets } from './podSockets.ts';

/** Options of {@link ItemsLane}. */
export interface ItemsLaneOptions {
  readonly plan: JobPlan;
  readonly sink: PodSink;
  /** Opens the sockets of a pod. */
  readonly open: (claim: Claim, showProgress: (progress: Progress) => void) => Promise<PodSockets>;
  readonly openProgress: (claim: Claim) => PodProgress;
  /** Makes the lane that runs the programs. */
  readonly createLane: (sink: PodSink) => PodLane;
  readonly logger: Logger;
}

/** Runs the pods of a work-queue Job, on top of a lane that runs programs: these get their items over sockets. */
export class ItemsLane implements PodLane {
  readonly spent = false;
  readonly #options: ItemsLaneOptions;
  readonly #lane: PodLane;
  #ended: ((end: PodEnd) => void) | null = null;
  #sockets: PodSockets | null = null;
  #stopped = false;

  constructor(options: ItemsLaneOptions) {
    this.#options = options;
    this.#lane = options.createLane({ podEnded: (end) => this.#ended?.(end) });
  }

  start(claim: Claim): void {
    this.#stopped = false;
    const { sink, plan, logger } = this.#options;
    this.#run(claim).then(
      (end) => sink.podEnded(end),
      (error: unknown) => {
        logger.error(
          { err: error, jobUid: plan.uid },
          'a pod could not be given a socket for items',
        );
        sink.podEnded(withoutSocket(error));
      },
    );
  }

  stop(graceMs: number): void {
    this.#stopped = true;
    this.#sockets?.stop(graceMs);
    this.#lane.stop(graceMs);
  }

  async #run(claim: Claim): Promise<PodEnd> {
    const { plan, open, openProgress } = this.#options;
    let progress: PodProgress | null = null;
    const sockets = await open(claim, (shown) => {
      progress ??= openProgress(claim);
      progress.show(shown);
    });
    this.#sockets = sockets;
    plan.setExtras(claim, sockets);
    try {
      if (this.#stopped) return STOPPED;
      const { promise, resolve } = Promise.withResolvers<PodEnd>();
      this.#ended = resolve;
      this.#lane.start(claim);
      return await promise;
    } finally {
      // The pod may speak of its items until here.
      await sockets.close();
      // The assignment in a closure is nothing that the compiler sees.
      (progress as PodProgress | null)?.end();
      plan.setExtras(claim, null);
      this.#sockets = null;
    }
  }
}

/** A pod that was told to stop before its programs were started. */
const STOPPED: PodEnd = { ...SUCCEEDED, outcome: 'Failed', exitCode: 143, reason: 'Error' };

function withoutSocket(error: unknown): PodEnd {
  const message = `its socket for items could not be made: ${(error as Error).message}`;
  return {
    ...STOPPED,
    exitCode: 128,
    reason: 'StartError',
    overlay: { message: clipBytes(message, MAX_MESSAGE_BYTES) },
  };
}
