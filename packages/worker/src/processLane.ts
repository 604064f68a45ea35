import type { Claim, PodOverlay, PodReason } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan } from './jobPlan.ts';
import type { OpenPodLog, PodLog } from './podLog.ts';
import { PodRestarts } from './podRestarts.ts';
import type { CrashLoopPolicy } from './process/crashLoop.ts';
import type { ProcessExit } from './process/processExit.ts';
import type { ProcessRunner } from './process/processRunner.ts';
import type { RunningProcess } from './process/runningProcess.ts';
import type { PodEnd, PodLane, PodSink, SlotRef } from './runtime.ts';
import type { ControlPort } from './shardPort.ts';
import { clipBytes, MAX_MESSAGE_BYTES } from './text.ts';

/** Options of {@link ProcessLane}. */
export interface ProcessLaneOptions {
  readonly runner: ProcessRunner;
  readonly plan: JobPlan;
  readonly slot: SlotRef;
  readonly sink: PodSink;
  readonly port: ControlPort;
  readonly openLog: OpenPodLog;
  readonly crashLoop: CrashLoopPolicy;
  readonly logger: Logger;
}

/**
 * Runs pods as child processes.
 *
 * With `restartPolicy: OnFailure` a program that fails is started again in the same pod, see {@link PodRestarts}.
 */
export class ProcessLane implements PodLane {
  /** A process can always be killed. */
  readonly spent = false;
  readonly #options: ProcessLaneOptions;
  #running: RunningProcess | null = null;
  #graceEndMs: number | null = null;
  #restarts: PodRestarts | null = null;

  constructor(options: ProcessLaneOptions) {
    this.#options = options;
  }

  start(claim: Claim): void {
    this.#graceEndMs = null;
    this.#runPod(claim).then(
      (end) => this.#options.sink.podEnded(end),
      (error: unknown) => {
        this.#options.logger.error(
          { err: error, jobUid: this.#options.plan.uid },
          'a process pod could not be run',
        );
        this.#running?.kill();
        this.#options.sink.podEnded(brokenEnd(error));
      },
    );
  }

  stop(graceMs: number): void {
    const graceEndMs = performance.now() + graceMs;
    if (this.#graceEndMs !== null && this.#graceEndMs <= graceEndMs) return;
    this.#graceEndMs = graceEndMs;
    this.#running?.stop(graceMs);
    this.#restarts?.stop();
  }

  async #runPod(claim: Claim): Promise<PodEnd> {
    const { plan, openLog } = this.#options;
    const log = openLog(plan, claim);
    const restarts = this.#createRestarts(claim);
    this.#restarts = restarts;
    let exit: ProcessExit;
    for (;;) {
      const startedMs = performance.now();
      exit = await this.#runOnce(claim, log);
      if (exit.exitCode === 0 || plan.restartPolicy === 'Never' || this.#stopped || isLoss(exit))
        break;
      if (!(await restarts.next(performance.now() - startedMs))) break;
    }
    await log.end();
    return endOf(exit, restarts.count, log.written);
  }

  #createRestarts({ podNumber, restarts }: Claim): PodRestarts {
    const { crashLoop: policy, port, slot, logger } = this.#options;
    return new PodRestarts({ policy, port, slot, podNumber, restarts, logger });
  }

  get #stopped(): boolean {
    return this.#graceEndMs !== null;
  }

  async #runOnce(claim: Claim, log: PodLog): Promise<ProcessExit> {
    const { runner, plan } = this.#options;
    const { command, args } = plan.invocation(claim);
    const running = runner.start(
      { command, args, env: plan.programEnv(claim), workingDir: plan.workingDir },
      { onOutput: (stream, chunk) => log.write(stream, chunk) },
    );
    this.#running = running;
    if (this.#graceEndMs !== null) running.stop(Math.max(0, this.#graceEndMs - performance.now()));
    const exit = await running.exited;
    this.#running = null;
    return exit;
  }
}

/** The worker lost its helper and with it the program: no fault of the pod. */
function isLoss(exit: ProcessExit): boolean {
  return exit.reason === 'ContainerStatusUnknown';
}

function endOf(exit: ProcessExit, restarts: number, hasLog: boolean): PodEnd {
  const overlay: PodOverlay = {};
  if (exit.message !== '') overlay.message = clipBytes(exit.message, MAX_MESSAGE_BYTES);
  if (restarts > 0) overlay.restarts = restarts;
  if (exit.signal !== null) overlay.signal = exit.signal;
  const reason: PodReason = exit.reason === 'ContainerStatusUnknown' ? 'Drained' : exit.reason;
  return {
    outcome: exit.exitCode === 0 ? 'Succeeded' : 'Failed',
    exitCode: exit.exitCode,
    reason,
    hasLog,
    overlay: Object.keys(overlay).length === 0 ? null : overlay,
  };
}

function brokenEnd(error: unknown): PodEnd {
  const message = error instanceof Error ? error.message : String(error);
  return {
    outcome: 'Failed',
    exitCode: 128,
    reason: 'StartError',
    hasLog: false,
    overlay: { message: clipBytes(message, MAX_MESSAGE_BYTES) },
  };
}
