import { laneKey } from '@drover/shared';
import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import { ConfigLane } from '../configs/configLane.ts';
import type { ConfigSources } from '../configs/podConfigs.ts';
import type { ItemHub } from '../items/itemHub.ts';
import { HandlerItem } from '../items/onePerPod/handlerItem.ts';
import { OneItemLane } from '../items/onePerPod/oneItemLane.ts';
import type { JobPlan } from '../jobPlan.ts';
import type { OpenPodLog } from '../podLog.ts';
import { PodRestarts } from '../podRestarts.ts';
import type { CrashLoopPolicy } from '../process/crashLoop.ts';
import {
  NO_SEAT,
  type PodLane,
  type PodSink,
  type Runtime,
  type Seat,
  type SlotRef,
} from '../runtime.ts';
import type { ControlPort, DetailsPort, ObjectPort } from '../shardPort.ts';
import { BlockWatch } from './blockWatch.ts';
import type { HandlerDefinition } from './defineHandler.ts';
import { HandlerLane } from './handlerLane.ts';
import type { HandlerModule } from './handlerModule.ts';
import { INPUT_ANNOTATION, readInput, type HandlerInput } from './input.ts';
import { PodProgress } from './podProgress.ts';
import { ThreadLane, type ItemsPod } from './threads/threadLane.ts';
import { ThreadPool } from './threads/threadPool.ts';
import { ThreadSeats } from './threads/threadSeats.ts';

/** Writes a pod's progress for whoever looks, or takes it away. Neither throws nor waits. */
export type WriteProgress = (slot: SlotRef, claim: Claim, text: string | null) => void;

/** Options of {@link HandlerRuntime}. */
export interface HandlerRuntimeOptions {
  readonly handlers: readonly HandlerDefinition[];
  /** Pods at a time of handlers in this thread. */
  readonly lanes: number;
  /** Threads, and so pods at a time of handlers with `isolation: 'thread'`. */
  readonly threads: number;
  /** Most memory of a thread, heap and buffers, MiB. */
  readonly threadMemoryMiB: number;
  readonly openLog: OpenPodLog;
  readonly writeProgress: WriteProgress;
  /** Where pods get items of work queues. */
  readonly items: ItemHub;
  readonly crashLoop: CrashLoopPolicy;
  /** The shard of a slot. */
  readonly port: (shard: number) => ControlPort & DetailsPort & ObjectPort;
  readonly configs: ConfigSources;
  readonly logger: Logger;
}

/** Runs pods as calls of registered functions: on this thread's event loop, or each in a thread of its own. */
export class HandlerRuntime implements Runtime {
  readonly name = 'handler';
  readonly #handlers = new Map<string, HandlerDefinition>();
  readonly #options: HandlerRuntimeOptions;
  readonly #seats: ThreadSeats;
  readonly #blocks: BlockWatch;
  /** null when no handler runs in a thread. */
  readonly #pool: ThreadPool | null;
  readonly #inputs = new WeakMap<JobPlan, HandlerInput | Promise<HandlerInput>>();

  constructor(options: HandlerRuntimeOptions) {
    this.#options = options;
    for (const handler of options.handlers) this.#handlers.set(handler.name, handler);
    const { threads, threadMemoryMiB: memoryMiB, logger } = options;
    this.#seats = new ThreadSeats(threads);
    this.#blocks = new BlockWatch(logger);
    const threaded = options.handlers.filter(isThreaded);
    const handlers = threaded.map(({ name }) => name);
    const modules = modulesOf(threaded);
    this.#pool =
      handlers.length === 0
        ? null
        : new ThreadPool({ modules, handlers, memoryMiB, kept: threads, logger });
  }

  fittingLanes(pool: string): Readonly<Record<string, number>> {
    const { lanes, threads } = this.#options;
    const handlers = [...this.#handlers.values()];
    return Object.fromEntries(
      handlers.map((handler) => [
        laneKey(pool, this.name, handler.name),
        isThreaded(handler) ? Math.min(lanes, threads) : lanes,
      ]),
    );
  }

  async warmUp(): Promise<void> {
    // Other functions are ready when they are there.
    if ([...this.#handlers.values()].some((handler) => !isThreaded(handler))) this.#blocks.start();
    await this.#pool?.warmUp();
  }

  takeSeat(fittingKey: string): Seat | Promise<Seat | null> | null {
    const handler = this.#handlers.get(handlerOf(fittingKey));
    return handler !== undefined && isThreaded(handler) ? this.#seats.take() : NO_SEAT;
  }

  createLane(plan: JobPlan, slot: SlotRef, sink: PodSink): PodLane {
    if (plan.itemPerPod === null) return this.#createLane(plan, slot, sink, null);
    const { items, logger } = this.#options;
    const carrier = new HandlerItem();
    return new OneItemLane({
      plan,
      sink,
      openItems: ({ podNumber }, signal) => items.openForOne({ plan, slot, podNumber, signal }),
      carrier,
      createLane: (inner) => this.#createLane(plan, slot, inner, carrier),
      logger,
    });
  }

  #createLane(plan: JobPlan, slot: SlotRef, sink: PodSink, carrier: HandlerItem | null): PodLane {
    const handler = this.#handlers.get(plan.image);
    if (handler === undefined) {
      throw new Error(`handler "${plan.image}" is not registered with this worker`);
    }
    const [container] = plan.containers;
    if (container === undefined || container.configRefs.length === 0) {
      return this.#createHandlerLane(handler, plan, slot, sink, carrier);
    }
    const { configs, port, logger } = this.#options;
    return new ConfigLane({
      ...configs,
      plan,
      slot,
      sink,
      port: port(slot.shard),
      createLane: (inner) => this.#createHandlerLane(handler, plan, slot, inner, carrier),
      logger,
    });
  }

  #createHandlerLane(
    handler: HandlerDefinition,
    plan: JobPlan,
    slot: SlotRef,
    sink: PodSink,
    carrier: HandlerItem | null,
  ): PodLane {
    const { openLog, writeProgress, items, crashLoop: policy, port, logger } = this.#options;
    const common = {
      plan,
      sink,
      logger,
      openLog: (claim: Claim) => openLog(plan, claim),
      openProgress: (claim: Claim) => new PodProgress((text) => writeProgress(slot, claim, text)),
      createRestarts: ({ podNumber, restarts }: Claim) =>
        new PodRestarts({
          policy,
          port: port(slot.shard),
          slot,
          podNumber,
          restarts,
          onBackOff: () => slot.tell({ type: 'backOff', container: plan.containerName }),
          logger,
        }),
      openItems: ({ podNumber }: Claim, { signal, progress: showProgress }: ItemsPod) =>
        items.open({ job: plan.facts, slot, podNumber, signal, showProgress }),
      item: () => carrier?.item ?? null,
    };
    if (isThreaded(handler) && this.#pool !== null) {
      return new ThreadLane({ ...common, handler: handler.name, pool: this.#pool });
    }
    return new HandlerLane({ ...common, handler, input: this.#inputOf(handler, plan) });
  }

  async close(): Promise<void> {
    this.#seats.close();
    this.#blocks.stop();
    // A function on this thread that is still running ends with its process.
    await this.#pool?.close();
  }

  #inputOf(handler: HandlerDefinition, plan: JobPlan): HandlerInput | Promise<HandlerInput> {
    const known = this.#inputs.get(plan);
    if (known !== undefined) return known;
    const input = readInput(handler, plan.annotations[INPUT_ANNOTATION]);
    this.#inputs.set(plan, input);
    if (input instanceof Promise) {
      void input.then((settled) => this.#inputs.set(plan, settled));
    }
    return input;
  }
}

function isThreaded(handler: HandlerDefinition): boolean {
  return handler.isolation === 'thread';
}

/** Each module once. */
function modulesOf(handlers: readonly HandlerDefinition[]): HandlerModule[] {
  const modules = handlers.flatMap(({ module }) => (module === null ? [] : [module]));
  return [...new Map(modules.map((module) => [module.url, module])).values()];
}

/** The name in `<pool>/handler/<name>`; that of a pool has no slash. */
function handlerOf(fittingKey: string): string {
  return fittingKey.slice(fittingKey.indexOf('/') + '/handler/'.length);
}
