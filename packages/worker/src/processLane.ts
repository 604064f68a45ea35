import type { Claim, PodOverlay, PodReason } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan } from './jobPlan.ts';
import type { OpenPodLog, PodLog } from './podLog.ts';
import { crashLoopDelayMs, crashLoopRestarts, type CrashLoopPolicy } from './process/crashLoop.ts';
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

/** Wait before a restart is recorded again when Redis did not take it. */
const RECORD_RETRY_MS = 200;

/**
 * Runs pods as child processes.
 *
 * With `restartPolicy: OnFailure` a program that fails is started again in the same pod:
 * wait the crash-loop delay, record the restart, start. Recorded before it happens, so that no restart is
 * missing in the sum that backoffLimit is compared with.
 */
export class ProcessLane implements PodLane {
  /** A process can always be killed. */
  readonly spent = false;
  readonly #options: ProcessLaneOptions;
  #running: RunningProcess | null = null;
  #graceEndMs: number | null = null;
  /** Ends the crash-loop wait. */
  #wakeUp: (() => void) | null = null;

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
    this.#wakeUp?.();
  }

  async #runPod(claim: Claim): Promise<PodEnd> {
    const { plan, openLog, crashLoop } = this.#options;
    const log = openLog(plan, claim);
    let restarts = claim.restarts;
    let inARow = 0;
    let exit: ProcessExit;
    for (;;) {
      const startedMs = performance.now();
      exit = await this.#runOnce(claim, log);
      if (exit.exitCode === 0 || plan.restartPolicy === 'Never' || this.#stopped || isLoss(exit))
        break;
      inARow = crashLoopRestarts(inARow, performance.now() - startedMs, crashLoop);
      await this.#wait(crashLoopDelayMs(inARow, crashLoop));
      if (this.#stopped) break;
      if (!(await this.#recordRestart(claim, restarts + 1))) break;
      inARow += 1;
      restarts += 1;
    }
    await log.end();
    return endOf(exit, restarts, log.written);
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

  /** Whether the program may be started again. */
  async #recordRestart(claim: Claim, restarts: number): Promise<boolean> {
    const { port, slot, logger } = this.#options;
    const { uid, session } = slot;
    while (!this.#stopped) {
      try {
        const reply = await port.recordRestart({
          uid,
          slot: slot.slot,
          podNumber: claim.podNumber,
          session,
          restarts,
        });
        return reply === 'recorded' || reply === 'replayed';
      } catch (error) {
        logger.debug({ err: error, jobUid: uid }, 'a restart was not recorded; trying again');
      }
      await this.#wait(RECORD_RETRY_MS);
    }
    return false;
  }

  #wait(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wakeUp?.(), ms);
      this.#wakeUp = () => {
        clearTimeout(timer);
        this.#wakeUp = null;
        resolve();
      };
    });
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
