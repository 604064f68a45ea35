import type { Claim, ContainerRecord, PodOverlay, PodReason } from '@drover/store';
import type { Logger } from 'pino';

import { PodConfigs, type ConfigSources, type Waiting } from './configs/podConfigs.ts';
import type { JobPlan } from './jobPlan.ts';
import { PodDetailsWriter } from './podDetailsWriter.ts';
import type { ContainersLog, OpenPodLog } from './podLog.ts';
import { PodRestarts, type RestartTotal } from './podRestarts.ts';
import { ContainerLoop, isLoss } from './process/containerLoop.ts';
import { messageOf } from './process/containerMessage.ts';
import type { ContainerLimiter } from './process/containerLimiter.ts';
import type { CrashLoopPolicy } from './process/crashLoop.ts';
import type { MountProbe } from './process/mountProbe.ts';
import type { OomKills } from './process/oomKills.ts';
import { PodProcesses } from './process/podProcesses.ts';
import type { PodVolumes, Volumes } from './process/podVolumes.ts';
import { stoppedExit, type ProcessExit } from './process/processExit.ts';
import type { ProcessRunner } from './process/processRunner.ts';
import type { Program } from './process/program.ts';
import type { ProcessSink, RunningProcess } from './process/runningProcess.ts';
import { SingleRun } from './process/singleRun.ts';
import { filesOf } from './process/volumeFiles.ts';
import { SUCCEEDED, type PodEnd, type PodLane, type PodSink, type SlotRef } from './runtime.ts';
import type { ControlPort, DetailsPort, ObjectPort } from './shardPort.ts';
import { clipBytes, MAX_MESSAGE_BYTES } from './text.ts';

/** Options of {@link ProcessLane}. */
export interface ProcessLaneOptions {
  readonly runner: ProcessRunner;
  readonly plan: JobPlan;
  readonly slot: SlotRef;
  readonly sink: PodSink;
  readonly port: ControlPort & DetailsPort & ObjectPort;
  readonly configs: ConfigSources;
  readonly openLog: OpenPodLog;
  readonly crashLoop: CrashLoopPolicy;
  readonly volumes: Volumes;
  readonly mountProbe: MountProbe;
  readonly oomKills: OomKills;
  readonly limiter: ContainerLimiter;
  /** How often volumes with a limit are measured. */
  readonly volumeCheckMs: number;
  readonly logger: Logger;
}

/** What of a pod can be told to stop. */
interface Stoppable {
  stop(graceMs: number): void;
}

/** Of a pod whose end says it all. */
const NO_DETAILS: PodOverlay = {};
/** Exit code of a pod that was ended by SIGTERM. */
const SIGTERM_EXIT_CODE = 143;

/**
 * Runs pods as child processes.
 *
 * Most pods are one container that runs once: a {@link SingleRun}, and nothing is written about it
 * but its end. One that may be restarted is a {@link ContainerLoop}, and those with more containers
 * are {@link PodProcesses}.
 */
export class ProcessLane implements PodLane {
  /** A process can always be killed. */
  readonly spent = false;
  readonly #options: ProcessLaneOptions;
  #pod: Stoppable | null = null;
  #graceEndMs: number | null = null;
  /** What all pods run, see {@link JobPlan.commonProgram}. */
  #program: Program | null = null;

  constructor(options: ProcessLaneOptions) {
    this.#options = options;
  }

  start(claim: Claim): void {
    this.#graceEndMs = null;
    const { plan } = this.#options;
    if (plan.isSingleRun) {
      this.#runOnce(claim);
      return;
    }
    (plan.isPlain ? this.#runPlain(claim) : this.#runSeveral(claim)).then(
      (end) => this.#ended(end),
      (error: unknown) => this.#failed(error),
    );
  }

  stop(graceMs: number): void {
    const graceEndMs = performance.now() + graceMs;
    if (this.#graceEndMs !== null && this.#graceEndMs <= graceEndMs) return;
    this.#graceEndMs = graceEndMs;
    this.#pod?.stop(graceMs);
  }

  #ended(end: PodEnd): void {
    this.#pod = null;
    this.#options.sink.podEnded(end);
  }

  #failed(error: unknown): void {
    const { logger, plan } = this.#options;
    logger.error({ err: error, jobUid: plan.uid }, 'a process pod could not be run');
    this.#pod?.stop(0);
    this.#ended(brokenEnd(error));
  }

  /** The pod that stop orders go to from now on, and one that came already. */
  #setPod(pod: Stoppable): void {
    this.#pod = pod;
    if (this.#graceEndMs !== null) pod.stop(Math.max(0, this.#graceEndMs - performance.now()));
  }

  #runOnce(claim: Claim): void {
    const { plan, openLog, oomKills } = this.#options;
    const log = openLog(plan, claim);
    let isOver = false;
    const onEnd = (exit: ProcessExit): void => {
      isOver = true;
      if (!log.written) this.#ended(endOf(exit, claim.restarts, log, NO_DETAILS));
      else void log.end().then(() => this.#ended(endOf(exit, claim.restarts, log, NO_DETAILS)));
    };
    let pod: SingleRun;
    try {
      const start = (sink: ProcessSink): RunningProcess => this.#startProgram(claim, sink);
      pod = new SingleRun({ start, log, oomKills, onEnd });
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (!isOver) this.#setPod(pod);
  }

  #startProgram(claim: Claim, sink: ProcessSink, cgroup?: string): RunningProcess {
    const { runner, plan } = this.#options;
    const { workingDir } = plan;
    // A cgroup is one pod's.
    const common = cgroup === undefined ? plan.commonProgram(claim) : null;
    if (common === null) {
      const invocation = plan.invocation(claim);
      const { command, args } = invocation;
      const env = plan.programEnv(claim, invocation);
      const input = plan.inputOf(claim, plan.containerName);
      const running = runner.start({ command, args, env, workingDir, input, cgroup }, sink);
      plan.started(claim, plan.containerName, running);
      return running;
    }
    this.#program ??= runner.prepare({ ...common, workingDir });
    return runner.run(this.#program, plan.ownVariables(claim), sink);
  }

  async #runPlain(claim: Claim): Promise<PodEnd> {
    const { runner, plan, openLog, oomKills, limiter } = this.#options;
    const log = openLog(plan, claim);
    const restarts = this.#createRestarts(claim, plan.containerName, undefined);
    let details: PodDetailsWriter | null = null;
    const onChange = (): void => {
      if (!loop.hasHistory && !loop.hasWaited) return;
      details ??= this.#createDetails(claim, () => ({ containers: [loop.record()] }));
      details.changed();
    };
    const [container] = plan.containers;
    const { configRefs = [], limits = null } = container ?? {};
    const needsConfigs = configRefs.length > 0;
    const mayRestart =
      container?.restartRule !== 'Never' || (container?.restartRules ?? []).length > 0;
    const configs = needsConfigs ? this.#createConfigs(() => !loop.isAtWork) : null;
    const loop = new ContainerLoop({
      name: plan.containerName,
      rule: container?.restartRule ?? plan.restartPolicy,
      rules: container?.restartRules ?? [],
      ...(configs === null
        ? {}
        : {
            prepare: (call) =>
              configs.get({
                ...call,
                refs: configRefs,
                make: (set) => {
                  plan.setConfigs(claim, set);
                  // Says what is missing.
                  plan.invocation(claim);
                  return true;
                },
              }),
          }),
      start: (sink, cgroup) => this.#startProgram(claim, sink, cgroup),
      log,
      ...(container === undefined ? {} : { message: messageOf(plan, container, null) }),
      restarts,
      oomKills,
      limit: limits === null ? undefined : () => limiter.begin(limits, runner.entersCgroups),
      ...(mayRestart || needsConfigs ? { onChange } : {}),
    });
    this.#setPod(loop);
    const exit = await loop.run();
    if (needsConfigs) plan.setConfigs(claim, null);
    // The assignment in a closure is nothing that the compiler sees.
    (details as PodDetailsWriter | null)?.end();
    await log.end();
    const overlay = loop.hasHistory ? { details: { containers: [loop.record()] } } : NO_DETAILS;
    return endOf(exit, restarts.count, log, overlay);
  }

  async #runSeveral(claim: Claim): Promise<PodEnd> {
    const { plan, openLog } = this.#options;
    if (!plan.hasFiles) return await this.#runWithVolumes(claim, null);
    let heldUp: ContainerRecord[] = [];
    const details = this.#createDetails(claim, () => ({ containers: heldUp }));
    let made: PodVolumes | null;
    try {
      made = await this.#makeVolumes(claim, (waiting) => {
        heldUp = waiting === null ? [] : [notBegun(plan.containers[0]?.name ?? '', waiting)];
        details.changed();
      });
    } catch (error) {
      const message = `its volumes could not be made: ${(error as Error).message}`;
      return brokenEnd(new Error(message));
    } finally {
      details.end();
    }
    if (made === null) {
      return endOf(stoppedExit(Date.now()), claim.restarts, openLog(plan, claim), {});
    }
    try {
      return await this.#runWithVolumes(claim, made);
    } finally {
      made.remove();
    }
  }

  /** null = told to stop while something was missing. */
  async #makeVolumes(
    claim: Claim,
    tell: (waiting: Waiting | null) => void,
  ): Promise<PodVolumes | null> {
    const { plan, volumes } = this.#options;
    const stopping = new AbortController();
    this.#setPod({ stop: () => stopping.abort() });
    const { signal } = stopping;
    let made: PodVolumes | null = null;
    const got = await this.#createConfigs(() => true).get({
      refs: plan.volumeRefs,
      make: async (set) => {
        made = await volumes.make(
          plan.podUid(claim),
          plan.volumes,
          (volume) => filesOf(volume, set, (item) => plan.fileText(claim, item)),
          { hasMessages: plan.hasMessages, owner: plan.volumeOwner },
        );
        // Nobody waits for them any more.
        if (signal.aborted) made.remove();
        return made;
      },
      tell,
      signal,
    });
    // The assignment in a closure is nothing that the compiler sees.
    if (got === null) (made as PodVolumes | null)?.remove();
    return got;
  }

  async #runWithVolumes(claim: Claim, volumes: PodVolumes | null): Promise<PodEnd> {
    const { runner, plan, openLog, oomKills, limiter, volumeCheckMs, mountProbe, logger } =
      this.#options;
    const log = openLog(plan, claim);
    const total: RestartTotal = { count: claim.restarts };
    const details = this.#createDetails(claim, () => pod.details());
    const pod = new PodProcesses({
      runner,
      plan,
      claim,
      log,
      volumes,
      mountProblem: volumes === null ? null : await mountProbe.problem(),
      createRestarts: (container) => this.#createRestarts(claim, container, total),
      onProbeFailed: (container, probe, problem) =>
        this.#options.slot.tell({ type: 'probeFailed', container, probe, problem }),
      onHookFailed: (container, hook, problem) =>
        this.#options.slot.tell({ type: 'hookFailed', container, hook, problem }),
      configs: this.#createConfigs(() => !pod.isAtWork),
      oomKills,
      limiter,
      volumeCheckMs,
      onChange: () => details.changed(),
      logger,
    });
    this.#setPod(pod);
    const { exit, container, eviction } = await pod.run();
    details.end();
    await log.end();
    const overlay: PodOverlay = { details: pod.details() };
    if (eviction !== null) return evictedEnd(exit, eviction, total.count, log, overlay);
    const message = exit.message === '' ? '' : `container ${container}: ${exit.message}`;
    return endOf({ ...exit, message }, total.count, log, overlay);
  }

  #createConfigs(isIdle: () => boolean): PodConfigs {
    const { configs, plan, port, slot, logger } = this.#options;
    const { namespace } = plan.facts;
    return new PodConfigs({ ...configs, port, namespace, place: slot.place, isIdle, logger });
  }

  #createRestarts(claim: Claim, container: string, total: RestartTotal | undefined): PodRestarts {
    const { crashLoop: policy, port, slot, logger } = this.#options;
    const { podNumber } = claim;
    const onBackOff = (): void => slot.tell({ type: 'backOff', container });
    const common = { policy, port, slot, podNumber, onBackOff, logger };
    return total === undefined
      ? new PodRestarts({ ...common, restarts: claim.restarts })
      : new PodRestarts({ ...common, restarts: 0, total });
  }

  #createDetails(claim: Claim, read: PodDetailsWriterRead): PodDetailsWriter {
    const { port, slot, logger } = this.#options;
    return new PodDetailsWriter({ port, slot, podNumber: claim.podNumber, read, logger });
  }
}

/** A container of a pod whose volumes are not there yet. */
function notBegun(name: string, waiting: Waiting): ContainerRecord {
  return { name, ready: false, started: false, restartCount: 0, state: { waiting } };
}

type PodDetailsWriterRead = ConstructorParameters<typeof PodDetailsWriter>[0]['read'];

function endOf(
  exit: ProcessExit,
  restarts: number,
  { written }: ContainersLog,
  more: PodOverlay,
): PodEnd {
  if (exit.exitCode === 0 && restarts === 0 && more === NO_DETAILS && !written) return SUCCEEDED;
  const overlay: PodOverlay = {};
  if (exit.message !== '') overlay.message = clipBytes(exit.message, MAX_MESSAGE_BYTES);
  if (restarts > 0) overlay.restarts = restarts;
  if (exit.signal !== null) overlay.signal = exit.signal;
  Object.assign(overlay, more);
  const reason: PodReason = exit.reason === 'ContainerStatusUnknown' ? 'Drained' : exit.reason;
  return {
    outcome: exit.exitCode === 0 ? 'Succeeded' : 'Failed',
    exitCode: exit.exitCode,
    reason,
    hasLog: written,
    overlay: Object.keys(overlay).length === 0 ? null : overlay,
  };
}

function evictedEnd(
  exit: ProcessExit,
  message: string,
  restarts: number,
  log: ContainersLog,
  more: PodOverlay,
): PodEnd {
  // The helper died before it could be stopped: no fault of the pod.
  if (isLoss(exit)) return endOf(exit, restarts, log, more);
  const exitCode = exit.exitCode === 0 ? SIGTERM_EXIT_CODE : exit.exitCode;
  const end = endOf({ ...exit, exitCode, message }, restarts, log, more);
  return { ...end, reason: 'Evicted' };
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
