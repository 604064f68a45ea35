import type { Logger } from 'pino';

import { NoCgroupsError } from './cgroupPlace.ts';
import { WorkerCgroups, type ContainerCgroup, type ContainerLimits } from './cgroups.ts';
import { MemoryLimits, mib } from './memoryLimits.ts';
import type { ProcessExit } from './processExit.ts';
import type { RunningProcess } from './runningProcess.ts';

/** Holds the limits of one run of a container. */
export interface LimitedRun {
  /** The cgroup that its programs are to run in; undefined = the worker watches over it. */
  readonly cgroup: string | undefined;
  /** Its program was asked for. */
  begun(running: RunningProcess): void;
  /** Its program ended: says so if that is because it took too much. */
  explain(exit: ProcessExit): ProcessExit;
  /** It is over: nothing of it stays. */
  release(): void;
}

/**
 * Holds what containers may take: the kernel does, in a cgroup for each container with limits, where the worker may
 * make some; elsewhere the worker watches their memory, and their limits of cpu have no effect.
 */
export class ContainerLimiter {
  readonly #cgroups: WorkerCgroups | null;
  readonly #problem: string | null;
  readonly #watched = new MemoryLimits();
  readonly #logger: Logger;

  private constructor(cgroups: WorkerCgroups | null, problem: string | null, logger: Logger) {
    this.#cgroups = cgroups;
    this.#problem = problem;
    this.#logger = logger;
  }

  /** Before the worker starts any process: they are born where it is. */
  static async open(logger: Logger): Promise<ContainerLimiter> {
    try {
      return new ContainerLimiter(await WorkerCgroups.open(), null, logger);
    } catch (error) {
      if (!(error instanceof NoCgroupsError)) throw error;
      return new ContainerLimiter(null, error.message, logger);
    }
  }

  /** Says in the log how limits are held. @param canEnter - Programs can be started in cgroups. */
  tell(canEnter: boolean): void {
    const { place } = this.#cgroups ?? {};
    if (place !== undefined && canEnter) {
      this.#logger.info({ cgroup: place }, 'limits of programs are held by cgroups');
      return;
    }
    const reason = this.#problem ?? 'that takes the native process helper';
    this.#logger.info({ reason }, 'memory limits of programs are held by watching, not by cgroups');
  }

  /** Begins a run. @param canEnter - Its program can be started in a cgroup. */
  begin(limits: ContainerLimits, canEnter: boolean): LimitedRun {
    if (this.#cgroups !== null && canEnter) {
      try {
        return new CgroupRun(this.#cgroups.create(limits), limits);
      } catch (error) {
        this.#logger.warn({ err: error }, 'no cgroup could be made for a program: it is watched');
      }
    }
    return new WatchedRun(this.#watched, limits);
  }

  /** Removes its cgroups, with whatever is left in them. */
  async close(): Promise<void> {
    await this.#cgroups?.close();
  }
}

class CgroupRun implements LimitedRun {
  readonly #cgroup: ContainerCgroup;
  readonly #limits: ContainerLimits;

  constructor(cgroup: ContainerCgroup, limits: ContainerLimits) {
    this.#cgroup = cgroup;
    this.#limits = limits;
  }

  get cgroup(): string {
    return this.#cgroup.path;
  }

  begun(): void {
    // The kernel knows.
  }

  explain(exit: ProcessExit): ProcessExit {
    if (exit.signal !== 'SIGKILL' || this.#cgroup.oomKills === 0) return exit;
    const { memoryBytes } = this.#limits;
    const limit = memoryBytes === null ? '' : ` of ${mib(memoryBytes)}`;
    const message = this.#cgroup.hasReachedLimit
      ? `needed more memory than its limit${limit}`
      : 'its worker had no memory left';
    return { ...exit, reason: 'OOMKilled', message };
  }

  release(): void {
    this.#cgroup.remove();
  }
}

class WatchedRun implements LimitedRun {
  readonly cgroup = undefined;
  readonly #watch: ((running: RunningProcess) => void) | null;
  #explain: ((exit: ProcessExit) => ProcessExit) | null = null;

  constructor(watched: MemoryLimits, { memoryBytes }: ContainerLimits) {
    this.#watch =
      memoryBytes === null
        ? null
        : (running) => {
            const watch = watched.watch(running, memoryBytes);
            this.#explain = (exit) => watch.ended(exit);
          };
  }

  begun(running: RunningProcess): void {
    this.#watch?.(running);
  }

  explain(exit: ProcessExit): ProcessExit {
    return this.#explain?.(exit) ?? exit;
  }

  release(): void {
    // A look finds it gone.
  }
}
