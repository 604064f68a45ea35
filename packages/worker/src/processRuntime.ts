import {
  laneKey,
  WORK_QUEUE_ANNOTATION,
  type ClientConnection,
  type ItemPerPod,
} from '@drover/shared';
import type { Logger } from 'pino';

import { ClientDirectory } from './client/clientDirectory.ts';
import { ClientLane } from './client/clientLane.ts';
import type { ConfigSources } from './configs/podConfigs.ts';
import { PodProgress } from './handler/podProgress.ts';
import type { WriteProgress } from './handler/handlerRuntime.ts';
import type { ItemHub } from './items/itemHub.ts';
import { OneItemLane } from './items/onePerPod/oneItemLane.ts';
import { ItemFiles, ProgramItem } from './items/onePerPod/programItem.ts';
import { ItemsLane } from './items/socket/itemsLane.ts';
import { PodSockets } from './items/socket/podSockets.ts';
import { SocketDirectory } from './items/socket/socketDirectory.ts';
import type { JobPlan } from './jobPlan.ts';
import { ArgumentList, ListLane } from './listLane.ts';
import type { OpenPodLog } from './podLog.ts';
import type { CrashLoopPolicy } from './process/crashLoop.ts';
import type { ProcessUser } from './process/frames.ts';
import { handOverTo, keep } from './process/handOver.ts';
import { MountProbe } from './process/mountProbe.ts';
import type { ContainerLimiter } from './process/containerLimiter.ts';
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
import type { ControlPort, DetailsPort, ListPort, ObjectPort } from './shardPort.ts';

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
  /** Where pods get items of work queues. */
  readonly items: ItemHub;
  /** How to reach Redis, for pods that are clients. */
  readonly client: ClientConnection;
  /** Words that start the command `drover`, for pods with items and for clients; undefined: they do not get it. */
  readonly launcher: readonly string[] | undefined;
  readonly writeProgress: WriteProgress;
  /** The shard of a slot. */
  readonly port: (shard: number) => ControlPort & ListPort & DetailsPort & ObjectPort;
  readonly configs: ConfigSources;
  /** It is closed with this. */
  readonly limiter: ContainerLimiter;
  readonly logger: Logger;
  /** Whom programs run as; null = as the worker, unless their pod says otherwise. */
  readonly programUser: ProcessUser | null;
}

/** Runs pods as child processes of a helper that dies with this worker. */
export class ProcessRuntime implements Runtime {
  readonly name = 'process';
  readonly #options: ProcessRuntimeOptions;
  readonly #lists = new WeakMap<JobPlan, ArgumentList>();
  readonly #volumes: Volumes;
  readonly #mountProbe: MountProbe;
  readonly #sockets: SocketDirectory;
  readonly #itemFiles: ItemFiles;
  readonly #clients: ClientDirectory;
  readonly #oomKills = new OomKills();

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options;
    const { programUser } = options;
    const handOver = programUser === null ? keep : handOverTo(programUser);
    this.#volumes = new Volumes(options.logger, options.volumeDirectory, handOver);
    this.#mountProbe = new MountProbe(options.runner);
    this.#sockets = new SocketDirectory(options.launcher, options.logger, handOver);
    this.#itemFiles = new ItemFiles(options.logger, handOver);
    this.#clients = new ClientDirectory(options.client, options.launcher, options.logger, handOver);
  }

  fittingLanes(pool: string): Readonly<Record<string, number>> {
    return { [laneKey(pool, this.name, '')]: this.#options.lanes };
  }

  async warmUp(): Promise<void> {
    await Promise.all([
      this.#options.runner.warmUp(),
      this.#volumes.warmUp(),
      this.#sockets.warmUp(),
      this.#clients.warmUp(),
    ]);
    this.#options.limiter.tell(this.#options.runner.entersCgroups);
  }

  takeSeat(): Seat {
    return NO_SEAT;
  }

  createLane(plan: JobPlan, slot: SlotRef, sink: PodSink): PodLane {
    if (plan.itemPerPod !== null) return this.#createOneItemLane(plan, plan.itemPerPod, slot, sink);
    const settings = plan.argumentList;
    if (settings === null) {
      return plan.facts.annotations[WORK_QUEUE_ANNOTATION] === undefined
        ? this.#createProcessLane(plan, slot, sink)
        : this.#createItemsLane(plan, slot, sink);
    }
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

  #createProcessLane(plan: JobPlan, slot: SlotRef, sink: PodSink): PodLane {
    const createLane = (inner: PodSink): PodLane => this.#createPlainLane(plan, slot, inner);
    if (plan.client === null) return createLane(sink);
    return new ClientLane({ plan, sink, places: () => this.#clients.places(), createLane });
  }

  #createPlainLane(plan: JobPlan, slot: SlotRef, sink: PodSink): ProcessLane {
    const { runner, openLog, crashLoop, configs, limiter, volumeCheckMs, port, logger } =
      this.#options;
    return new ProcessLane({
      runner,
      plan,
      slot,
      sink,
      port: port(slot.shard),
      openLog,
      crashLoop,
      configs,
      volumes: this.#volumes,
      mountProbe: this.#mountProbe,
      oomKills: this.#oomKills,
      limiter,
      volumeCheckMs,
      logger,
    });
  }

  #createItemsLane(plan: JobPlan, slot: SlotRef, sink: PodSink): ItemsLane {
    const { items, writeProgress, logger } = this.#options;
    const containers = plan.containers.map(({ name }) => name);
    return new ItemsLane({
      plan,
      sink,
      open: ({ podNumber }, showProgress) => {
        // Programs have signals of their own.
        const { signal } = new AbortController();
        const job = plan.facts;
        const podItems = items.open({ job, slot, podNumber, signal, showProgress });
        return PodSockets.open(podItems, containers, this.#sockets);
      },
      openProgress: (claim) => new PodProgress((text) => writeProgress(slot, claim, text)),
      createLane: (inner) => this.#createProcessLane(plan, slot, inner),
      logger,
    });
  }

  #createOneItemLane(plan: JobPlan, how: ItemPerPod, slot: SlotRef, sink: PodSink): OneItemLane {
    const { items, logger } = this.#options;
    return new OneItemLane({
      plan,
      sink,
      openItems: ({ podNumber }, signal) => items.openForOne({ plan, slot, podNumber, signal }),
      carrier: new ProgramItem(plan, how, this.#itemFiles),
      createLane: (inner) => this.#createProcessLane(plan, slot, inner),
      logger,
    });
  }

  async close(): Promise<void> {
    await this.#options.runner.close();
    await this.#options.limiter.close();
    // Nobody uses them any more.
    await Promise.all(
      [this.#volumes, this.#sockets, this.#itemFiles, this.#clients].map((part) => part.close()),
    );
  }
}
