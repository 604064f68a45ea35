import type { Claim } from '@drover/store';

import type { JobPlan } from '../jobPlan.ts';
import { SUCCEEDED, type PodEnd, type PodLane, type PodSink } from '../runtime.ts';
import type { ClientPlaces } from './clientDirectory.ts';

/** Options of a {@link ClientLane}. */
export interface ClientLaneOptions {
  readonly plan: JobPlan;
  readonly sink: PodSink;
  /** Makes what the programs find on disk. */
  readonly places: () => Promise<ClientPlaces>;
  readonly createLane: (sink: PodSink) => PodLane;
}

/** Runs pods that are clients: before their programs start, what these need lies on disk. */
export class ClientLane implements PodLane {
  readonly spent = false;
  readonly #options: ClientLaneOptions;
  readonly #lane: PodLane;
  /** Told to stop before the programs were started. */
  #isStopped = false;

  constructor(options: ClientLaneOptions) {
    this.#options = options;
    this.#lane = options.createLane(options.sink);
  }

  start(claim: Claim): void {
    this.#isStopped = false;
    const { plan, sink, places } = this.#options;
    places().then(
      (found) => {
        plan.setClientPlaces(found);
        if (this.#isStopped) sink.podEnded(STOPPED);
        else this.#lane.start(claim);
      },
      (error: unknown) => sink.podEnded(withoutFile(error)),
    );
  }

  stop(graceMs: number): void {
    this.#isStopped = true;
    this.#lane.stop(graceMs);
  }
}

const STOPPED: PodEnd = { ...SUCCEEDED, outcome: 'Failed', exitCode: 143, reason: 'Error' };

function withoutFile(error: unknown): PodEnd {
  const why = error instanceof Error ? error.message : String(error);
  const message = `what it needs to be a client could not be written: ${why}`;
  return { ...STOPPED, exitCode: 128, reason: 'StartError', overlay: { message } };
}
