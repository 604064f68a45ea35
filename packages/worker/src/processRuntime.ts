import { laneKey } from '@drover/shared';
import type { Logger } from 'pino';

import type { JobPlan } from './jobPlan.ts';
import { ArgumentList, ListLane } from './listLane.ts';
import type { OpenPodLog } from './podLog.ts';
import type { CrashLoopPolicy } from './process/crashLoop.ts';
import { MountProbe } from './process/mountProbe.ts';
import { OomKills } from './process/oomKills.ts';
import { Volumes } from './process/podVolumes.ts';
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
import type { ControlPort, DetailsPort, ListPort } from './shardPort.ts';

/** Options of {@link ProcessRuntime}. */
export interface ProcessRuntimeOptions {
  readonly runner: ProcessRunner;
  /** Pods at a time. */
  readonly lanes: number;
  readonly openLog: OpenPodLog;
  readonly crashLoop: CrashLoopPolicy;
  /** Where volumes lie on disk; undefined: in the directory for temporary files. */
  readonly volumeDirectory: string | undefined;
  /** How often volumes with a limit are measured, ms. */
  readonly volumeCheckMs: number;
  /** The shard of a slot. */
  readonly port: (shard: number) => ControlPort & ListPort & DetailsPort;
  readonly logger: Logger;
}

/** Runs pods as child processes of a helper that dies with this worker. */
export class ProcessRuntime implements Runtime {
  readonly name = 'process';
  readonly #options: ProcessRuntimeOptions;
  readonly #lists = new WeakMap<JobPlan, ArgumentList>();
  readonly #volumes: Volumes;
  readonly #mountProbe: MountProbe;
  readonly #oomKills = new OomKills();

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options;
    this.#volumes = new Volumes(options.logger, options.volumeDirectory);
    this.#mountProbe = new MountProbe(options.runner);
  }

  fittingLanes(pool: string): Readonly<Record<string, number>> {
    return { [laneKey(pool, this.name, '')]: this.#options.lanes };
  }

  async warmUp(): Promise<void> {
    await Promise.all([this.#options.runner.warmUp(), this.#volumes.warmUp()]);
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
    const { runner, openLog, crashLoop, volumeCheckMs, port, logger } = this.#options;
    return new ProcessLane({
      runner,
      plan,
      slot,
      sink,
      port: port(slot.shard),
      openLog,
      crashLoop,
      volumes: this.#volumes,
      mountProbe: this.#mountProbe,
      oomKills: this.#oomKills,
      volumeCheckMs,
      logger,
    });
  }

  async close(): Promise<void> {
    await this.#options.runner.close();
    // Nobody uses them any more.
    await this.#volumes.close();
  }
}
