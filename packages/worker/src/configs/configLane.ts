import { formatTime } from '@drover/shared';
import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan } from '../jobPlan.ts';
import { PodDetailsWriter } from '../podDetailsWriter.ts';
import { stoppedExit } from '../process/processExit.ts';
import type { PodEnd, PodLane, PodSink, SlotRef } from '../runtime.ts';
import type { DetailsPort, ObjectPort } from '../shardPort.ts';
import { PodConfigs, type ConfigSources, type Waiting } from './podConfigs.ts';

/** Options of {@link ConfigLane}. */
export interface ConfigLaneOptions extends ConfigSources {
  readonly plan: JobPlan;
  readonly slot: SlotRef;
  readonly sink: PodSink;
  readonly port: ObjectPort & DetailsPort;
  /** Makes the lane that runs the pods. */
  readonly createLane: (sink: PodSink) => PodLane;
  readonly logger: Logger;
}

/**
 * Runs pods whose environment has something of ConfigMaps and Secrets, on top of a lane that calls
 * handlers: these are read before the pod begins.
 */
export class ConfigLane implements PodLane {
  readonly #options: ConfigLaneOptions;
  readonly #lane: PodLane;
  #reading: AbortController | null = null;
  #claim: Claim | null = null;

  constructor(options: ConfigLaneOptions) {
    this.#options = options;
    this.#lane = options.createLane({ podEnded: (end) => this.#ended(end) });
  }

  get spent(): boolean {
    return this.#lane.spent;
  }

  start(claim: Claim): void {
    this.#claim = claim;
    this.#begin(claim).catch((error: unknown) => {
      const { plan, logger } = this.#options;
      logger.error({ err: error, jobUid: plan.uid }, 'a pod could not be run');
      this.#ended({ ...STOPPED, exitCode: 128, reason: 'StartError' });
    });
  }

  stop(graceMs: number): void {
    if (this.#reading === null) this.#lane.stop(graceMs);
    else this.#reading.abort();
  }

  async #begin(claim: Claim): Promise<void> {
    const { plan, slot, port, reader, news, logger } = this.#options;
    const { namespace } = plan.facts;
    const { place } = slot;
    const isIdle = () => this.#reading !== null;
    const configs = new PodConfigs({ reader, news, port, namespace, place, isIdle, logger });
    const status = this.#status(claim);
    this.#reading = new AbortController();
    const isThere = await configs.get({
      refs: plan.containers[0]?.configRefs ?? [],
      make: (set) => {
        plan.setConfigs(claim, set);
        // Says what is missing.
        plan.invocation(claim);
        return true;
      },
      tell: status.tell,
      signal: this.#reading.signal,
    });
    this.#reading = null;
    status.end();
    if (isThere === true) this.#lane.start(claim);
    else this.#ended(STOPPED);
  }

  #status(claim: Claim): { tell: (waiting: Waiting | null) => void; end: () => void } {
    const { plan, slot, port, logger } = this.#options;
    let waiting: Waiting | null = null;
    let writer: PodDetailsWriter | null = null;
    let toldAt = '';
    const state = () => (waiting === null ? { running: { startedAt: toldAt } } : { waiting });
    const read = () => ({
      containers: [
        {
          name: plan.containerName,
          ready: waiting === null,
          started: waiting === null,
          restartCount: claim.restarts,
          state: state(),
        },
      ],
    });
    return {
      tell: (now) => {
        waiting = now;
        toldAt = formatTime(Date.now());
        const { podNumber } = claim;
        writer ??= new PodDetailsWriter({ port, slot, podNumber, read, logger });
        writer.changed();
      },
      end: () => writer?.end(),
    };
  }

  #ended(end: PodEnd): void {
    if (this.#claim !== null) this.#options.plan.setConfigs(this.#claim, null);
    this.#options.sink.podEnded(end);
  }
}

const { exitCode, message } = stoppedExit(0);

/** A pod that was told to stop before it had what it waited for. */
const STOPPED: PodEnd = {
  outcome: 'Failed',
  exitCode,
  reason: 'Error',
  hasLog: false,
  overlay: { message },
};
