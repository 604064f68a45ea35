import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { findCgroupPlace, NoCgroupsError, WORKERS_GROUP, type CgroupPlace } from './cgroupPlace.ts';
import { readStat } from './procFiles.ts';

/** What a container may take; null = as much as there is. */
export interface ContainerLimits {
  /** Of memory, bytes. */
  readonly memoryBytes: number | null;
  /** Of cpu, thousandths of one. */
  readonly cpuMilli: number | null;
}

/** A cgroup with the programs of one container. */
export interface ContainerCgroup {
  /** Its directory. */
  readonly path: string;
  /** How many of its processes the kernel killed for lack of memory, whosever limit it was. */
  readonly oomKills: number;
  /** It came to its own limit of memory, and nothing could be spared. */
  readonly hasReachedLimit: boolean;
  /** Kills what is left in it, and removes it. */
  remove(): void;
}

/** Before what names the worker that a group belongs to. */
const GROUP_PREFIX = 'drover-pods-';
/** How often a group is emptied anew of processes that were born meanwhile. */
const ENTER_ATTEMPTS = 10;
/** What is killed takes a moment to end. */
const FIRST_RETRY_MS = 5;
/** Something in a group can not die, as when it waits for a disk. */
const LAST_RETRY_MS = 5_000;
/** How long groups that are not empty yet may hold up the end of a worker. */
const CLOSE_TIMEOUT_MS = 2_000;
/** What cpu.max is about, in us. */
const CPU_PERIOD_US = 100_000;
/** The kernel takes no less, us. */
const LEAST_CPU_US = 1_000;

/**
 * The cgroups that a worker makes for containers with limits, one for each, below one of its own:
 *
 * ```text
 *   the worker's (systemd's unit, or its container)
 *     drover-workers                the worker, its helper, and programs without limits
 *     drover-pods-<worker>          all containers with limits
 *       1, 2, ...                   memory.max, memory.oom.group, cpu.max
 * ```
 *
 * That the worker moves is a rule of cgroups: those with groups in them have no processes. A worker that was killed
 * leaves its group behind, and what still runs in it: the next one that begins in the same place removes both.
 */
export class WorkerCgroups {
  /** The directory below which they are. */
  readonly place: string;
  readonly #own: string;
  /** Groups whose last processes have not ended. */
  readonly #leaving = new Set<string>();
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | null = null;
  #lastNumber = 0;
  /** null = nobody needed to know yet. */
  #limitsCpu: boolean | null = null;

  private constructor(place: string, own: string) {
    this.place = place;
    this.#own = own;
  }

  /**
   * Moves this process, and what is with it, to where it leaves room for groups.
   *
   * @throws NoCgroupsError that says why it can make none.
   */
  static async open(): Promise<WorkerCgroups> {
    const place = await findCgroupPlace();
    try {
      makeRoom(place);
      const name = `${GROUP_PREFIX}${ownerName(process.pid)}-${randomBytes(3).toString('hex')}`;
      const own = join(place.path, name);
      mkdirSync(own);
      const cgroups = new WorkerCgroups(place.path, own);
      enable(own, 'memory');
      cgroups.#sweep();
      return cgroups;
    } catch (error) {
      throw new NoCgroupsError(`${place.path}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Makes the group of a container. @throws Error of the system. */
  create({ memoryBytes, cpuMilli }: ContainerLimits): ContainerCgroup {
    this.#lastNumber += 1;
    const path = join(this.#own, String(this.#lastNumber));
    const limitsCpu = cpuMilli !== null && (this.#limitsCpu ??= this.#enableCpu());
    mkdirSync(path);
    try {
      if (memoryBytes !== null) {
        writeFileSync(join(path, 'memory.max'), String(memoryBytes));
        // Not everywhere: before Linux 4.19, and where the kernel does not count what is swapped out.
        writeIfThere(join(path, 'memory.oom.group'), '1');
        writeIfThere(join(path, 'memory.swap.max'), '0');
      }
      if (limitsCpu) {
        const quota = Math.max(LEAST_CPU_US, Math.round((cpuMilli / 1_000) * CPU_PERIOD_US));
        writeFileSync(join(path, 'cpu.max'), `${quota} ${CPU_PERIOD_US}`);
      }
    } catch (error) {
      rmdirSync(path);
      throw error;
    }
    return {
      path,
      get oomKills() {
        return readEvent(path, 'oom_kill');
      },
      get hasReachedLimit() {
        return readEvent(path, 'oom') > 0;
      },
      remove: () => this.#remove(path),
    };
  }

  /** Kills what is left in all of them, and removes them. */
  async close(): Promise<void> {
    const endMs = performance.now() + CLOSE_TIMEOUT_MS;
    while (!removeTree(this.#own) && performance.now() < endMs) await delay(FIRST_RETRY_MS);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#leaving.clear();
  }

  /** The CPU is shared out in another way among groups than among processes: only once somebody asks for it. */
  #enableCpu(): boolean {
    try {
      enable(this.place, 'cpu');
      enable(this.#own, 'cpu');
      return true;
    } catch {
      return false;
    }
  }

  #remove(path: string): void {
    if (removeTree(path)) return;
    this.#leaving.add(path);
    this.#retryMs = FIRST_RETRY_MS;
    this.#plan();
  }

  #plan(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#leaving.size === 0) return;
    this.#timer = setTimeout(() => {
      for (const path of this.#leaving) if (removeTree(path)) this.#leaving.delete(path);
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
      this.#plan();
    }, this.#retryMs).unref();
  }

  /** Ends what workers left behind that were killed. */
  #sweep(): void {
    for (const name of readdirSync(this.place)) {
      if (name.startsWith(GROUP_PREFIX) && isLeftBehind(name)) this.#remove(join(this.place, name));
    }
  }
}

/** Makes a place one that may have groups with limits of memory in it. @throws Error of the system. */
function makeRoom({ path, isRoot }: CgroupPlace): void {
  if (isRoot) {
    enable(path, 'memory');
    return;
  }
  const workers = join(path, WORKERS_GROUP);
  mkdirSync(workers, { recursive: true });
  for (let attempt = 1; ; attempt++) {
    for (const pid of processesOf(path)) {
      try {
        writeFileSync(join(workers, 'cgroup.procs'), String(pid));
      } catch (error) {
        // Ended meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    try {
      enable(path, 'memory');
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EBUSY' || attempt === ENTER_ATTEMPTS) throw error;
    }
  }
}

function enable(path: string, controller: string): void {
  writeFileSync(join(path, 'cgroup.subtree_control'), `+${controller}`);
}

function processesOf(path: string): number[] {
  return readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
}

/** Kills all that is in a group and in those within, and removes them; false = something has not ended yet. */
function removeTree(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
  }
  try {
    // Of Linux 5.14 and later.
    if (!writeIfThere(join(path, 'cgroup.kill'), '1')) {
      for (const pid of processesOf(path)) process.kill(pid, 'SIGKILL');
    }
    const inner = readdirSync(path, { withFileTypes: true }).filter((one) => one.isDirectory());
    for (const { name } of inner) removeTree(join(path, name));
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** How often something happened in a group, as the kernel counts it; 0 where it does not say. */
function readEvent(path: string, name: string): number {
  try {
    const text = readFileSync(join(path, 'memory.events'), 'utf8');
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** False = there is no such file. */
function writeIfThere(path: string, text: string): boolean {
  try {
    // Without O_CREAT, which such a file system refuses in another way.
    writeFileSync(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Tells a process from another one that has its pid later, or has it in another pid namespace. */
function ownerName(pid: number): string {
  return [pidSpace(), pid, startTime(pid)].join('-');
}

function isLeftBehind(name: string): boolean {
  const [space, pid] = name.slice(GROUP_PREFIX.length).split('-');
  // A pid of another container means nothing here.
  if (space !== pidSpace()) return false;
  return !name.startsWith(`${GROUP_PREFIX}${ownerName(Number(pid))}-`);
}

function pidSpace(): string {
  return readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '');
}

/** Empty = there is no such process. */
function startTime(pid: number): string {
  const stat = readStat(pid);
  return stat === null || stat.state === 'Z' || stat.state === 'X' ? '' : stat.startTime;
}
