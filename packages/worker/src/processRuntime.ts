import { laneKey } from '@drover/shared';
import type { Logger } from 'pino';

import type { JobPlan } from './jobPlan.ts';
import { ArgumentList, ListLane } from './listLane.ts';
import type { OpenPodLog } from './podLog.ts';
import type { CrashLoopPolicy } from './process/crashLoop.ts';
import type { ProcessRunner } from './process/processRunner.ts';
import { ProcessLane } from './processLane.ts';
import {
  NO_SEAT,
  type PodLane,
  type PodSink,
  type Runtime,
  type Seat,
  type SlotRef,
} from './runtime.ts';
import type { ControlPort, ListPort } from './shardPort.ts';

/** Options of {@link ProcessRuntime}. */
export interface ProcessRuntimeOptions {
  readonly runner: ProcessRunner;
  /** Pods at a time. */
  readonly lanes: number;
  readonly openLog: OpenPodLog;
  readonly crashLoop: CrashLoopPolicy;
  /** The shard of a slot. */
  readonly port: (shard: number) => ControlPort & ListPort;
  readonly logger: Logger;
}

/** Runs pods as child processes of a helper that dies with this worker. */
export class ProcessRuntime implements Runtime {
  readonly name = 'process';
  readonly #options: ProcessRuntimeOptions;
  readonly #lists = new WeakMap<JobPlan, ArgumentList>();

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options;
  }

  fittingLanes(pool: string): Readonly<Record<string, number>> {
    return { [laneKey(pool, this.name, '')]: this.#options.lanes };
  }

  async warmUp(): Promise<void> {
    await this.#options.runner.warmUp();
  }

  unfitness(): string | null {
    return null;
  }

  takeSeat(): Seat {
    return NO_SEAT;
  }

  createLane(plan: JobPlan, slot: SlotRef, sink: PodSink): PodLane {
    const settings = plan.argumentList;
    if (settings === null) return this.#createProcessLane(plan, slot, sink);
    const port = this.#options.port(slot.shard);
    let list = this.#lists.get(plan);
    if (list === undefined) {
      list = new ArgumentList((chunk) => port.readArguments(plan.uid, chunk));
      this.#lists.set(plan, list);
    }
    return new ListLane({
      plan,
      settings,
      list,
      port,
      sink,
      createLane: (inner) => this.#createProcessLane(plan, slot, inner),
      logger: this.#options.logger,
    });
  }

  #createProcessLane(plan: JobPlan, slot: SlotRef, sink: PodSink): ProcessLane {
    const { runner, openLog, crashLoop, port, logger } = this.#options;
    return new ProcessLane({
      runner,
      plan,
      slot,
      sink,
      port: port(slot.shard),
      openLog,
      crashLoop,
      logger,
    });
  }

  async close(): Promise<void> {
    await this.#options.runner.close();
  }
}
