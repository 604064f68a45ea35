import { existsSync } from 'node:fs';

import type { Claim, PodDetails } from '@drover/store';
import type { Logger } from 'pino';

import type { ConfigSet } from '../configs/configContent.ts';
import type { PodConfigs } from '../configs/podConfigs.ts';
import { MESSAGE_VARIABLE, type PlannedContainer } from '../containerPlan.ts';
import type { JobPlan, PodInvocation } from '../jobPlan.ts';
import type { ContainersLog } from '../podLog.ts';
import type { PodRestarts } from '../podRestarts.ts';
import { messageOf } from './containerMessage.ts';
import { beginHook, begun, type Hook, type RunningHook } from './containerHook.ts';
import {
  ContainerLoop,
  type HookName,
  isLoss,
  type PrepareCall,
  type ProbeName,
} from './containerLoop.ts';
import type { ContainerLimiter } from './containerLimiter.ts';
import { askHttp, askTcp, type ProbeCheck } from './containerProbe.ts';
import type { ProcessMount } from './frames.ts';
import type { Identity } from './identity.ts';
import type { OomKills } from './oomKills.ts';
import type { PodVolumes } from './podVolumes.ts';
import { preparationFailure, stoppedExit, type ProcessExit } from './processExit.ts';
import type { ProcessRunner } from './processRunner.ts';
import type { OutputSink, RunningProcess } from './runningProcess.ts';

/** Grace of the programs of a pod that is evicted, as kubelet gives it. */
const EVICTION_GRACE_MS = 1_000;

/** Options of {@link PodProcesses}. */
export interface PodProcessesOptions {
  readonly runner: ProcessRunner;
  readonly plan: JobPlan;
  readonly claim: Claim;
  readonly log: ContainersLog;
  /** null: it has none. */
  readonly volumes: PodVolumes | null;
  /** Whether volumes can be mounted at all; null when they can, else why not. */
  readonly mountProblem: string | null;
  readonly createRestarts: (container: string) => PodRestarts;
  /** Told of each failure of a probe of a container. */
  readonly onProbeFailed: (container: string, probe: ProbeName, problem: string) => void;
  /** Told that a hook of a container failed. */
  readonly onHookFailed: (container: string, hook: HookName, problem: string) => void;
  readonly configs: PodConfigs;
  readonly oomKills: OomKills;
  readonly limiter: ContainerLimiter;
  /** How often volumes with a limit are measured. */
  readonly volumeCheckMs: number;
  readonly onChange: () => void;
  readonly logger: Logger;
}

/** How a pod with several containers ended. */
export interface PodProcessesEnd {
  /** Of the container that decides: the first that failed, or any when none did. */
  readonly exit: ProcessExit;
  /** Its name. */
  readonly container: string;
  /** Why the pod was evicted; null when it was not. */
  readonly eviction: string | null;
}

/**
 * The containers of one pod:
 *
 * ```text
 *   initContainers one by one, each must succeed; a sidecar among them only has to run
 *     -> containers, all at once, until each has ended
 *     -> sidecars are stopped, the last one first
 * ```
 */
export class PodProcesses {
  readonly #options: PodProcessesOptions;
  /** Those that were begun, in this order. */
  readonly #loops: ContainerLoop[] = [];
  readonly #sidecars: { readonly loop: ContainerLoop; readonly over: Promise<ProcessExit> }[] = [];
  /** The sidecar that was told to stop and has not ended. */
  #leaving: ContainerLoop | null = null;
  /** What was read for containers, by their names. */
  readonly #read = new Map<string, ConfigSet>();
  /** In which containers run that have one, by their names. */
  readonly #cgroups = new Map<string, string>();
  #killAtMs: number | null = null;
  #eviction: string | null = null;
  #unmounted: string | null = null;

  constructor(options: PodProcessesOptions) {
    this.#options = options;
  }

  /** A program runs. */
  get isAtWork(): boolean {
    return this.#loops.some((loop) => loop.isAtWork);
  }

  /** How the containers are now. */
  details(): PodDetails {
    const containers = this.#loops.map((loop) => loop.record());
    return this.#unmounted === null ? { containers } : { containers, unmounted: this.#unmounted };
  }

  /** Runs the pod to its end. Never rejects for a reason of the programs. */
  async run(): Promise<PodProcessesEnd> {
    const watch = this.#watchVolumes();
    try {
      const { exit, container } = (await this.#initialize()) ?? (await this.#runContainers());
      await this.#stopSidecars();
      return { exit, container, eviction: this.#eviction };
    } catch (error) {
      // Nothing outlives the pod, whatever was wrong with it.
      for (const loop of this.#loops) loop.stop(0);
      throw error;
    } finally {
      clearInterval(watch);
    }
  }

  /** SIGTERM to all but the sidecars, whose turn comes after; SIGKILL after `graceMs` to whatever is left. */
  stop(graceMs: number): void {
    const killAtMs = performance.now() + graceMs;
    if (this.#killAtMs !== null && this.#killAtMs <= killAtMs) return;
    this.#killAtMs = killAtMs;
    for (const loop of this.#loops) {
      if (!this.#isSidecar(loop)) loop.stop(graceMs);
    }
    // One that is waited for, since it does not come up, is waited for no longer.
    const last = this.#loops.at(-1);
    if (last !== undefined && this.#isSidecar(last)) last.stop(graceMs);
    this.#leaving?.stop(graceMs);
  }

  /** Runs the initContainers; the one that failed, or null when all is well. */
  async #initialize(): Promise<{ exit: ProcessExit; container: string } | null> {
    const { plan } = this.#options;
    for (const container of plan.containers) {
      if (container.role === 'main') continue;
      const { name } = container;
      if (this.#killAtMs !== null) return { exit: stoppedExit(Date.now()), container: name };
      const { loop, over } = this.#begin(container);
      if (container.role === 'sidecar') {
        this.#sidecars.push({ loop, over });
        if (await loop.started()) continue;
        const exit = await over;
        return { exit: exit.exitCode === 0 ? stoppedExit(Date.now()) : exit, container: name };
      }
      const exit = await over;
      if (exit.exitCode !== 0) return { exit, container: name };
    }
    return null;
  }

  async #runContainers(): Promise<{ exit: ProcessExit; container: string }> {
    const mains = this.#options.plan.containers.filter(({ role }) => role === 'main');
    const [first] = mains;
    if (this.#killAtMs !== null) {
      return { exit: stoppedExit(Date.now()), container: first?.name ?? '' };
    }
    const ends = await Promise.all(
      mains.map(async (container) => ({
        exit: await this.#begin(container).over,
        container: container.name,
      })),
    );
    // What was lost may have done its part: no fault of the pod.
    const lost = ends.find(({ exit }) => isLoss(exit));
    const failed = ends.find(({ exit }) => exit.exitCode !== 0);
    const end = lost ?? failed ?? ends[0];
    if (end === undefined) throw new Error('a pod without containers');
    return end;
  }

  /** The last one first: those that were started before may be what it needs. */
  async #stopSidecars(): Promise<void> {
    const endMs = this.#killAtMs ?? performance.now() + this.#options.plan.graceMs;
    for (const { loop, over } of this.#sidecars.toReversed()) {
      // A stop that came meanwhile may be more urgent.
      const killAtMs = Math.min(endMs, this.#killAtMs ?? endMs);
      this.#leaving = loop;
      loop.stop(Math.max(0, killAtMs - performance.now()));
      await over;
    }
    this.#leaving = null;
  }

  #begin(container: PlannedContainer): { loop: ContainerLoop; over: Promise<ProcessExit> } {
    const { plan, volumes, log, createRestarts, onChange } = this.#options;
    const { runner, oomKills, limiter, onHookFailed, onProbeFailed } = this.#options;
    const { name, limits, restartRule: rule, restartRules: rules } = container;
    const loop = new ContainerLoop({
      name,
      rule,
      rules,
      postStart: this.#hook(container, container.postStart),
      preStop: this.#hook(container, container.preStop),
      graceMs: plan.graceMs,
      startupProbe: container.startupProbe,
      livenessProbe: container.livenessProbe,
      ask: (check) => this.#ask(container, check),
      onProbeFailed: (probe, problem) => onProbeFailed(name, probe, problem),
      onHookFailed: (hook, problem) => onHookFailed(name, hook, problem),
      isInit: container.role === 'init',
      ...(container.configRefs.length === 0 ? {} : { prepare: this.#preparing(container) }),
      start: (sink, cgroup) => {
        if (cgroup !== undefined) this.#cgroups.set(name, cgroup);
        else this.#cgroups.delete(name);
        return this.#start(container, sink);
      },
      log: log.of(container.name),
      message: messageOf(plan, container, volumes?.messageFile(container) ?? null),
      restarts: createRestarts(container.name),
      oomKills,
      limit: limits === null ? undefined : () => limiter.begin(limits, runner.entersCgroups),
      onChange,
    });
    this.#loops.push(loop);
    const over = loop.run();
    onChange();
    return { loop, over };
  }

  /** Reads what the environment of a container needs, before each of its runs. */
  #preparing(container: PlannedContainer): (call: PrepareCall) => Promise<true | null> {
    const { configs } = this.#options;
    return (call) =>
      configs.get({
        ...call,
        refs: container.configRefs,
        make: (set) => {
          this.#read.set(container.name, set);
          // Says what is missing.
          this.#invocation(container);
          return true;
        },
      });
  }

  #invocation(container: PlannedContainer): PodInvocation {
    const { plan, claim, volumes } = this.#options;
    const messageFile = volumes?.messageFile(container) ?? null;
    const given = {
      ...volumes?.variables(container),
      ...(messageFile === null ? {} : { [MESSAGE_VARIABLE]: messageFile }),
    };
    return plan.invocationOf(container.name, claim, given, this.#read.get(container.name));
  }

  #ask(container: PlannedContainer, check: ProbeCheck): RunningHook {
    return begun(() => {
      if (check.type === 'http') return askHttp(check.url, check.headers);
      if (check.type === 'tcp') return askTcp(check.host, check.port);
      return this.#beginHook(container, check);
    });
  }

  #hook(container: PlannedContainer, hook: Hook | null): (() => RunningHook) | undefined {
    if (hook === null) return undefined;
    return () => begun(() => this.#beginHook(container, hook));
  }

  #beginHook(container: PlannedContainer, hook: Hook): RunningHook {
    return beginHook(hook, (program, sink) =>
      this.#launch(container, { ...this.#invocation(container), ...program }, undefined, sink),
    );
  }

  #start(container: PlannedContainer, sink: OutputSink): RunningProcess {
    const { plan, claim, onChange } = this.#options;
    const input = plan.inputOf(claim, container.name);
    const running = this.#launch(container, this.#invocation(container), input, sink);
    plan.started(claim, container.name, running);
    // Of last words that could not be mounted the variable tells.
    if (container.mounts.length > 0) {
      void running.started.then((process) => {
        if (process === null || process.mountProblem === null) return;
        this.#unmounted = unmountedText(process.mountProblem);
        onChange();
      });
    }
    return running;
  }

  #launch(
    container: PlannedContainer,
    { command, args, env }: PodInvocation,
    input: string | undefined,
    sink: OutputSink,
  ): RunningProcess {
    const { runner, plan, claim } = this.#options;
    let mounts: readonly ProcessMount[];
    try {
      mounts = this.#mounts(container, env);
    } catch (error) {
      return neverStarted(preparationFailure((error as Error).message, Date.now()));
    }
    const { workingDir, identity } = container;
    if (identity.type === 'refused') {
      return neverStarted(preparationFailure(identity.message, Date.now()));
    }
    return runner.start(
      {
        command,
        args,
        env: withHome(plan.programEnv(claim, { env }), env, identity),
        workingDir,
        input,
        mounts,
        cgroup: this.#cgroups.get(container.name),
        ...(identity.type === 'user' ? { user: identity.user } : {}),
      },
      sink,
    );
  }

  /** @throws Error in words for the pod's status. */
  #mounts(
    container: PlannedContainer,
    env: Readonly<Record<string, string>>,
  ): readonly ProcessMount[] {
    const { volumes, mountProblem } = this.#options;
    const mounts = volumes?.mountsOf(container, env) ?? [];
    const messageFile = volumes?.messageFile(container) ?? null;
    if (mountProblem === null && messageFile !== null && container.messagePath !== null) {
      const words = { source: messageFile, target: container.messagePath, readOnly: false };
      return [...mounts.map((mount) => required(mount)), words];
    }
    if (mountProblem === null || mounts.length === 0) return mounts.map((mount) => required(mount));
    const taken = mounts.find(isTaken);
    if (taken !== undefined) {
      throw new Error(
        `no volume can be mounted at ${taken.target}, and the worker has something there: ` +
          `${mountProblem}; use another mountPath, or DROVER_VOLUME_<NAME>`,
      );
    }
    this.#unmounted = unmountedText(mountProblem);
    return [];
  }

  #isSidecar(loop: ContainerLoop): boolean {
    return this.#sidecars.some((sidecar) => sidecar.loop === loop);
  }

  #watchVolumes(): NodeJS.Timeout | undefined {
    const { volumes, volumeCheckMs, logger } = this.#options;
    if (volumes === null || !volumes.hasLimits) return undefined;
    let isMeasuring = false;
    const measure = async (): Promise<void> => {
      if (isMeasuring || this.#eviction !== null) return;
      isMeasuring = true;
      const excess = await volumes.excess();
      isMeasuring = false;
      if (excess === null) return;
      this.#eviction = excess;
      this.stop(EVICTION_GRACE_MS);
    };
    return setInterval(() => {
      measure().catch((error: unknown) => logger.warn({ err: error }, 'a volume was not measured'));
    }, volumeCheckMs);
  }
}

/** What the worker has at such a path the program would take for its volume. */
function isTaken({ target }: ProcessMount): boolean {
  return existsSync(target);
}

function required(mount: ProcessMount): ProcessMount {
  return isTaken(mount) ? { ...mount, isRequired: true } : mount;
}

/** The home of the user that a program runs as, unless its template says another. */
function withHome(
  all: Record<string, string>,
  declared: Readonly<Record<string, string>>,
  identity: Identity,
): Record<string, string> {
  if (identity.type !== 'user' || Object.hasOwn(declared, 'HOME')) return all;
  return { ...all, HOME: identity.home };
}

function unmountedText(problem: string): string {
  return `volumes are not mounted: ${problem}; DROVER_VOLUME_<NAME> says where each of them is`;
}

/** A container that could not even be asked for. */
function neverStarted(exit: ProcessExit): RunningProcess {
  return {
    started: Promise.resolve(null),
    exited: Promise.resolve(exit),
    stop: () => undefined,
    kill: () => undefined,
  };
}
