import {
  formatTime,
  isRestartedByRule,
  type ContainerRestartRule,
  type ContainerStateTerminated,
} from '@drover/shared';
import type { ContainerRecord } from '@drover/store';

import type { Waiting } from '../configs/podConfigs.ts';
import type { ContainerLog } from '../podLog.ts';
import type { PodRestarts } from '../podRestarts.ts';
import { clipBytes, MAX_MESSAGE_BYTES } from '../text.ts';
import type { RunningHook } from './containerHook.ts';
import type { LimitedRun } from './containerLimiter.ts';
import { ProbeLoop, type PlannedProbe, type ProbeCheck } from './containerProbe.ts';
import type { ContainerMessage } from './containerMessage.ts';
import type { OomKills } from './oomKills.ts';
import {
  preparationFailure,
  signalNumberOf,
  stoppedExit,
  type ProcessExit,
} from './processExit.ts';
import type { OutputSink, RunningProcess, StartedProcess } from './runningProcess.ts';

/** When a container that ended is started again: never, when it failed, or in any case. */
export type RestartRule = 'Never' | 'OnFailure' | 'Always';

/** A moment at which a container has something done. */
export type HookName = 'PostStart' | 'PreStop';

/** What a probe is for. */
export type ProbeName = 'Startup' | 'Liveness';

/** How a run is prepared. */
export interface PrepareCall {
  /** Told why the container waits, and null when it waits no more. */
  readonly tell: (waiting: Waiting | null) => void;
  readonly signal: AbortSignal;
}

/** Options of {@link ContainerLoop}. */
export interface ContainerLoopOptions {
  readonly name: string;
  readonly rule: RestartRule;
  /** Exit codes after which it is started again whatever its rule. Default: none. */
  readonly rules?: readonly ContainerRestartRule[];
  /** What is done right after each start; it is ready when that succeeded. Default: nothing. */
  readonly postStart?: (() => RunningHook) | undefined;
  /** How long it may take to stop when that failed, ms. Default 0. */
  readonly graceMs?: number;
  /** What is done before it is told to stop. Default: nothing. */
  readonly preStop?: (() => RunningHook) | undefined;
  /** Asks whether it has started, before it counts as such. Default: nobody asks. */
  readonly startupProbe?: PlannedProbe | null;
  /** Asks whether it still works. Default: nobody asks. */
  readonly livenessProbe?: PlannedProbe | null;
  /** Asks for a probe; must be there with one. */
  readonly ask?: (check: ProbeCheck) => RunningHook;
  /** Told of each failure of a probe. */
  readonly onProbeFailed?: (probe: ProbeName, problem: string) => void;
  /** Told that a hook failed. */
  readonly onHookFailed?: ((hook: HookName, problem: string) => void) | undefined;
  /** It is done when it succeeded: then it is ready, as in Kubernetes. Default false. */
  readonly isInit?: boolean;
  /** Gets ready for each run, and waits for what is missing; null = told to stop. Default: there is nothing to do. */
  readonly prepare?: (call: PrepareCall) => Promise<true | null>;
  /** Runs the program once, in this cgroup if there is one. */
  readonly start: (sink: OutputSink, cgroup: string | undefined) => RunningProcess;
  readonly log: ContainerLog;
  /** Its last words. Default: there are none. */
  readonly message?: ContainerMessage | undefined;
  readonly restarts: PodRestarts;
  readonly oomKills: OomKills;
  /** Holds what a run may take. Default: it may take what there is. */
  readonly limit?: (() => LimitedRun) | undefined;
  /** Its record is another. Not called for the start and the end of a container that nobody watches. */
  readonly onChange?: () => void;
}

/**
 * One container of a pod from its first start to its last end: started again after the crash-loop
 * delay for as long as its rule says so, and nobody told it to stop.
 */
export class ContainerLoop {
  readonly #options: ContainerLoopOptions;
  #running: RunningProcess | null = null;
  #startedAtMs = 0;
  #ready = false;
  #hasStarted = false;
  #hasWaited = false;
  #exit: ProcessExit | null = null;
  /** The run before the present one. */
  #lastExit: ProcessExit | null = null;
  /** It waits for its restart. */
  #waitMs: number | null = null;
  /** It waits for something that it needs. */
  #waiting: Waiting | null = null;
  #preparing: AbortController | null = null;
  #killAtMs: number | null = null;
  #onStarted: ((hasStarted: boolean) => void) | null = null;
  /** What is done right after the start. */
  #postStart: RunningHook | null = null;
  /** What is done before the program is told to stop. */
  #preStop: RunningHook | null = null;
  #killTimer: NodeJS.Timeout | null = null;
  /** The program of the present run is there. */
  #isUp = false;
  /** When the present run is killed, since it was told to stop. */
  #runEndMs = Number.POSITIVE_INFINITY;
  #probing: ProbeLoop | null = null;
  /** The present run was stopped since a probe failed. */
  #hasFailedProbe = false;

  constructor(options: ContainerLoopOptions) {
    this.#options = options;
  }

  /** It ended at least once without the pod being over. */
  get hasHistory(): boolean {
    return this.#lastExit !== null;
  }

  /** It waits for something that it needs, or did; then others want to see how it is. */
  get hasWaited(): boolean {
    return this.#hasWaited;
  }

  /** Its program runs. */
  get isAtWork(): boolean {
    return this.#running !== null;
  }

  /** Runs it, again and again if need be; resolves with the last end. Never rejects for a reason of the program. */
  async run(): Promise<ProcessExit> {
    const { restarts, log } = this.#options;
    for (;;) {
      const beganMs = performance.now();
      const exit = await this.#runOnce();
      if (!this.#mayRestart(exit)) return this.#end(exit);
      const ranForMs = performance.now() - beganMs;
      this.#lastExit = exit;
      this.#waitMs = restarts.delayMs(ranForMs);
      this.#options.onChange?.();
      if (!(await restarts.next(ranForMs))) return this.#end(exit);
      this.#waitMs = null;
      log.beginRun(restarts.count);
    }
  }

  /** Resolves when the program runs for the first time; false when it is over before that. */
  started(): Promise<boolean> {
    if (this.#hasStarted) return Promise.resolve(true);
    if (this.#exit !== null) return Promise.resolve(false);
    return new Promise((resolve) => (this.#onStarted = resolve));
  }

  /** SIGTERM, and SIGKILL after `graceMs`; no restart from now on. Repeated: the sooner end counts. */
  stop(graceMs: number): void {
    const killAtMs = performance.now() + graceMs;
    if (this.#killAtMs !== null && this.#killAtMs <= killAtMs) return;
    this.#killAtMs = killAtMs;
    this.#probing?.end();
    if (this.#running !== null) this.#stopRunning(this.#running, graceMs);
    this.#preparing?.abort();
    this.#options.restarts.stop();
  }

  /** Ends the present run, whyever. Its hook comes first; both have the same grace period. Repeated: as of {@link stop}. */
  #stopRunning(running: RunningProcess, graceMs: number): void {
    const endMs = performance.now() + graceMs;
    if (this.#runEndMs <= endMs) return;
    this.#runEndMs = endMs;
    const { preStop } = this.#options;
    if (preStop === undefined || !this.#isUp || graceMs <= 0) {
      this.#preStop?.kill();
      running.stop(graceMs);
      return;
    }
    if (this.#killTimer !== null) clearTimeout(this.#killTimer);
    const isFirst = this.#preStop === null;
    const hook = (this.#preStop ??= preStop());
    this.#killTimer = setTimeout(() => {
      hook.kill();
      running.stop(0);
    }, graceMs);
    if (!isFirst) return;
    void hook.over.then((problem) => {
      if (this.#running !== running) return;
      if (problem !== null) this.#options.onHookFailed?.('PreStop', problem);
      running.stop(Math.max(0, this.#runEndMs - performance.now()));
    });
  }

  /** How it is now, in the form of the API. */
  record(): ContainerRecord {
    const { name, restarts, isInit = false } = this.#options;
    const last = this.#lastExit;
    return {
      name,
      ready: this.#ready || (isInit && this.#exit?.exitCode === 0),
      started: this.#ready,
      restartCount: restarts.count,
      state: this.#state(),
      ...(last === null || this.#exit === last ? {} : { lastState: { terminated: stateOf(last) } }),
    };
  }

  #state(): NonNullable<ContainerRecord['state']> {
    if (this.#exit !== null) return { terminated: stateOf(this.#exit) };
    if (this.#waiting !== null) return { waiting: this.#waiting };
    if (this.#waitMs !== null) {
      const seconds = Math.ceil(this.#waitMs / 1000);
      const message = `back-off ${seconds}s restarting container ${this.#options.name}`;
      return { waiting: { reason: 'CrashLoopBackOff', message } };
    }
    if (!this.#ready) return { waiting: { reason: 'ContainerCreating' } };
    return { running: { startedAt: formatTime(this.#startedAtMs) } };
  }

  async #runOnce(): Promise<ProcessExit> {
    const { prepare, message, limit } = this.#options;
    if (prepare !== undefined && !(await this.#prepare(prepare))) return stoppedExit(Date.now());
    try {
      message?.begin();
    } catch (error) {
      // A program of the pod may have removed what it would lie in.
      const why = error instanceof Error ? error.message : String(error);
      return preparationFailure(`its file for last words can not be made: ${why}`, Date.now());
    }
    this.#hasFailedProbe = false;
    const limited = limit?.();
    try {
      return await this.#runWithin(limited);
    } finally {
      limited?.release();
    }
  }

  async #runWithin(limited: LimitedRun | undefined): Promise<ProcessExit> {
    const { start, log, message, oomKills, onChange } = this.#options;
    const cgroup = limited?.cgroup;
    oomKills.noteStart();
    const onOutput: OutputSink['onOutput'] = (stream, chunk) => {
      log.write(stream, chunk);
      message?.note(chunk);
    };
    const running = start({ onOutput }, cgroup);
    this.#running = running;
    limited?.begun(running);
    if (this.#killAtMs !== null) {
      this.#stopRunning(running, Math.max(0, this.#killAtMs - performance.now()));
    }
    if (onChange !== undefined) {
      void running.started.then((process) => this.#afterStart(running, process));
    }
    const exited = await running.exited;
    this.#endHooks();
    const ended = limited?.explain(exited) ?? exited;
    const exit = message?.finish(ended) ?? ended;
    this.#running = null;
    this.#ready = false;
    // Of what is in a cgroup all is known.
    return this.#killAtMs === null && cgroup === undefined ? oomKills.explain(exit) : exit;
  }

  async #prepare(prepare: NonNullable<ContainerLoopOptions['prepare']>): Promise<boolean> {
    const preparing = new AbortController();
    this.#preparing = preparing;
    if (this.#killAtMs !== null) preparing.abort();
    const tell = (waiting: Waiting | null): void => {
      this.#waiting = waiting;
      this.#hasWaited = true;
      this.#options.onChange?.();
    };
    const isReady = await prepare({ tell, signal: preparing.signal });
    this.#preparing = null;
    this.#waiting = null;
    return isReady === true && this.#killAtMs === null;
  }

  async #afterStart(running: RunningProcess, process: StartedProcess | null): Promise<void> {
    const { postStart, onHookFailed } = this.#options;
    const isRunning = (): boolean => process !== null && this.#running === running;
    this.#isUp = isRunning();
    if (postStart !== undefined && isRunning() && this.#killAtMs === null) {
      const hook = postStart();
      this.#postStart = hook;
      const problem = await hook.over;
      if (problem !== null && isRunning()) {
        onHookFailed?.('PostStart', problem);
        this.#stopRunning(running, this.#options.graceMs ?? 0);
        return;
      }
    }
    const { startupProbe = null, livenessProbe = null } = this.#options;
    if (startupProbe !== null && isRunning()) {
      if ((await this.#probe('Startup', startupProbe, running)) !== 'well') return;
    }
    if (!isRunning()) return;
    this.#noteStart(process);
    if (livenessProbe !== null) await this.#probe('Liveness', livenessProbe, running);
  }

  /** Asks until all was well (startup), or for as long as it runs; stops it when the answer is bad too often. */
  async #probe(
    name: ProbeName,
    probe: PlannedProbe,
    running: RunningProcess,
  ): Promise<'well' | 'failed' | 'ended'> {
    const { ask, onProbeFailed, graceMs = 0 } = this.#options;
    if (ask === undefined || this.#killAtMs !== null) return 'ended';
    const loop = new ProbeLoop({
      probe,
      ask,
      onFailure: (problem) => onProbeFailed?.(name, problem),
    });
    this.#probing = loop;
    const outcome = await loop.run(name === 'Startup');
    if (outcome === 'failed' && this.#running === running && this.#killAtMs === null) {
      this.#hasFailedProbe = true;
      this.#stopRunning(running, probe.graceMs ?? graceMs);
    }
    return outcome;
  }

  #endHooks(): void {
    this.#probing?.end();
    this.#probing = null;
    this.#postStart?.kill();
    this.#preStop?.kill();
    this.#postStart = null;
    this.#preStop = null;
    this.#isUp = false;
    this.#runEndMs = Number.POSITIVE_INFINITY;
    if (this.#killTimer !== null) clearTimeout(this.#killTimer);
    this.#killTimer = null;
  }

  #noteStart(process: StartedProcess | null): void {
    // One that is over already says so itself.
    if (process === null || this.#running === null) return;
    this.#ready = true;
    this.#hasStarted = true;
    this.#startedAtMs = process.startedAtMs;
    this.#onStarted?.(true);
    this.#options.onChange?.();
  }

  #mayRestart(exit: ProcessExit): boolean {
    const { rule, rules = [] } = this.#options;
    if (this.#killAtMs !== null || isLoss(exit)) return false;
    if (isRestartedByRule(rules, exit.exitCode)) return true;
    if (rule === 'Never') return false;
    // As kubelet does: whatever it made of its end.
    if (this.#hasFailedProbe) return true;
    return rule === 'Always' || exit.exitCode !== 0;
  }

  #end(exit: ProcessExit): ProcessExit {
    this.#exit = exit;
    this.#waitMs = null;
    this.#onStarted?.(false);
    this.#options.onChange?.();
    return exit;
  }
}

/** The worker lost its helper and with it the program: no fault of the pod. */
export function isLoss(exit: ProcessExit): boolean {
  return exit.reason === 'ContainerStatusUnknown';
}

function stateOf(exit: ProcessExit): ContainerStateTerminated {
  const { exitCode, signal, reason, message, startedAtMs, finishedAtMs } = exit;
  const signalNumber = signalNumberOf(signal);
  return {
    exitCode,
    reason,
    ...(signalNumber === null ? {} : { signal: signalNumber }),
    ...(message === '' ? {} : { message: clipBytes(message, MAX_MESSAGE_BYTES) }),
    startedAt: formatTime(startedAtMs),
    finishedAt: formatTime(finishedAtMs),
  };
}
