import { laneKey } from '@drover/shared';
import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan } from '../jobPlan.ts';
import type { OpenPodLog } from '../podLog.ts';
import { PodRestarts } from '../podRestarts.ts';
import type { CrashLoopPolicy } from '../process/crashLoop.ts';
import type { PodLane, PodSink, Runtime, SlotRef } from '../runtime.ts';
import type { ControlPort } from '../shardPort.ts';
import type { HandlerDefinition } from './defineHandler.ts';
import { HandlerLane } from './handlerLane.ts';
import { readInput, type HandlerInput } from './input.ts';
import { PodProgress } from './podProgress.ts';

/** Writes a pod's progress for whoever looks, or takes it away. Neither throws nor waits. */
export type WriteProgress = (slot: SlotRef, claim: Claim, text: string | null) => void;

/** Options of {@link HandlerRuntime}. */
export interface HandlerRuntimeOptions {
  readonly handlers: readonly HandlerDefinition[];
  readonly openLog: OpenPodLog;
  readonly writeProgress: WriteProgress;
  readonly crashLoop: CrashLoopPolicy;
  /** The shard of a slot. */
  readonly port: (shard: number) => ControlPort;
  readonly logger: Logger;
}

/** Runs pods as calls of registered functions, in this process. */
export class HandlerRuntime implements Runtime {
  readonly name = 'handler';
  readonly #handlers = new Map<string, HandlerDefinition>();
  readonly #options: HandlerRuntimeOptions;
  readonly #inputs = new WeakMap<JobPlan, HandlerInput | Promise<HandlerInput>>();

  constructor(options: HandlerRuntimeOptions) {
    this.#options = options;
    for (const handler of options.handlers) this.#handlers.set(handler.name, handler);
  }

  fittingKeys(pool: string): readonly string[] {
    return [...this.#handlers.keys()].map((name) => laneKey(pool, this.name, name));
  }

  async warmUp(): Promise<void> {
    // Functions are ready when they are there.
  }

  unfitness(plan: JobPlan): string | null {
    if (this.#handlers.has(plan.image)) return null;
    return `handler "${plan.image}" is not registered with this worker`;
  }

  createLane(plan: JobPlan, slot: SlotRef, sink: PodSink): PodLane {
    const handler = this.#handlers.get(plan.image);
    if (handler === undefined) throw new Error(this.unfitness(plan) ?? 'unreachable');
    const { openLog, writeProgress, crashLoop: policy, port, logger } = this.#options;
    return new HandlerLane({
      handler,
      plan,
      sink,
      logger,
      input: this.#inputOf(handler, plan),
      openLog: (claim) => openLog(plan, claim),
      openProgress: (claim) => new PodProgress((text) => writeProgress(slot, claim, text)),
      createRestarts: ({ podNumber, restarts }) =>
        new PodRestarts({ policy, port: port(slot.shard), slot, podNumber, restarts, logger }),
    });
  }

  async close(): Promise<void> {
    // A function that is still running ends with its process.
  }

  #inputOf(handler: HandlerDefinition, plan: JobPlan): HandlerInput | Promise<HandlerInput> {
    const known = this.#inputs.get(plan);
    if (known !== undefined) return known;
    const input = readInput(handler, plan);
    this.#inputs.set(plan, input);
    if (input instanceof Promise) {
      void input.then((settled) => this.#inputs.set(plan, settled));
    }
    return input;
  }
}
