import { mkdirSync } from 'node:fs';
import { access, chmod, constants, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { subPathProblems } from '@drover/shared';
import type { Logger } from 'pino';

import type { PlannedContainer, PlannedVolume } from '../containerPlan.ts';
import { expandVariables } from './environment.ts';
import type { ProcessMount } from './frames.ts';
import { removeTree, usedBytes, WorkerDirectory } from './workerDirectory.ts';

/** Where files lie in memory. */
const MEMORY_DIRECTORY = '/dev/shm';

/** Makes the directories that pods have as volumes, and removes them. */
export class Volumes {
  readonly #disk: WorkerDirectory;
  readonly #memory: WorkerDirectory;
  readonly #logger: Logger;
  /** Directories that are being removed. */
  readonly #removals = new Set<Promise<void>>();
  #madeCount = 0;

  /** @param directory - Where volumes lie on disk. Default: the directory for temporary files. */
  constructor(logger: Logger, directory: string = tmpdir()) {
    this.#logger = logger;
    this.#disk = new WorkerDirectory(directory, 'volumes');
    this.#memory = new WorkerDirectory(MEMORY_DIRECTORY, 'volumes');
  }

  /** Removes what workers that were killed left behind. */
  async warmUp(): Promise<void> {
    await Promise.all([this.#disk.sweep(), this.#memory.sweep()]);
  }

  /** Makes the volumes of a pod. @throws Error when that can not be done. */
  async make(podUid: string, volumes: readonly PlannedVolume[]): Promise<PodVolumes> {
    const paths = new Map<string, string>();
    // A pod may be run once more while what its last run left is being removed.
    this.#madeCount += 1;
    const directory = `${podUid}.${this.#madeCount}`;
    const made = new PodVolumes(volumes, paths, (path) => this.#remove(path));
    try {
      for (const { name, inMemory } of volumes) {
        const root = inMemory && (await isWritable(MEMORY_DIRECTORY)) ? this.#memory : this.#disk;
        const path = join(await root.path(), directory, name);
        await mkdir(path, { recursive: true, mode: 0o700 });
        // As in Kubernetes: whatever user a program makes itself may use it. Only ours gets this far.
        await chmod(path, 0o777);
        paths.set(name, path);
      }
    } catch (error) {
      made.remove();
      throw error;
    }
    return made;
  }

  /** Removes all volumes there are. */
  async close(): Promise<void> {
    await Promise.all(this.#removals);
    await Promise.all([this.#disk.remove(), this.#memory.remove()]).catch((error: unknown) =>
      this.#logger.warn({ err: error }, 'volumes could not be removed'),
    );
  }

  #remove(path: string): void {
    const removal = removeTree(path)
      .catch((error: unknown) => {
        this.#logger.warn({ err: error, path }, 'a volume could not be removed');
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}

/** The volumes of one pod. */
export class PodVolumes {
  readonly #planned: readonly PlannedVolume[];
  readonly #paths: ReadonlyMap<string, string>;
  readonly #remove: (path: string) => void;

  constructor(
    planned: readonly PlannedVolume[],
    paths: ReadonlyMap<string, string>,
    remove: (path: string) => void,
  ) {
    this.#planned = planned;
    this.#paths = paths;
    this.#remove = remove;
  }

  /** `DROVER_VOLUME_<NAME>` for each volume that a container mounts. */
  variables({ mounts }: Pick<PlannedContainer, 'mounts'>): Record<string, string> {
    return Object.fromEntries(
      mounts.map(({ name }) => [
        `DROVER_VOLUME_${name.replaceAll('-', '_').toUpperCase()}`,
        this.#paths.get(name) ?? '',
      ]),
    );
  }

  /**
   * What a container wants to see where; makes what is missing of a subPath.
   *
   * @param env - Variables of the container, for `subPathExpr`.
   * @throws Error when a subPath leads out of its volume, or can't be made.
   */
  mountsOf(
    { mounts }: Pick<PlannedContainer, 'mounts'>,
    env: Readonly<Record<string, string>>,
  ): ProcessMount[] {
    const wanted: ProcessMount[] = [];
    for (const { name, mountPath, subPath, subPathExpr, readOnly = false } of mounts) {
      const part = subPath ?? expandVariables(subPathExpr ?? '', env);
      const [problem] = subPathProblems(part);
      if (problem !== undefined) throw new Error(`volume "${name}", path "${part}": ${problem}`);
      const source = join(this.#paths.get(name) ?? '', part);
      if (part !== '') mkdirSync(source, { recursive: true });
      wanted.push({ source, target: mountPath, readOnly });
    }
    return wanted;
  }

  /** The first volume with more in it than it may have, in words; null when there is none. */
  async excess(): Promise<string | null> {
    for (const { name, sizeLimit, sizeLimitBytes } of this.#planned) {
      const path = this.#paths.get(name);
      if (path === undefined || sizeLimitBytes === Number.POSITIVE_INFINITY) continue;
      if ((await usedBytes(path)) > sizeLimitBytes) {
        return `Usage of EmptyDir volume "${name}" exceeds the limit "${sizeLimit}".`;
      }
    }
    return null;
  }

  /** Some volume has a limit. */
  get hasLimits(): boolean {
    return this.#planned.some(({ sizeLimitBytes }) => sizeLimitBytes < Number.POSITIVE_INFINITY);
  }

  /** Removes them, in the background. */
  remove(): void {
    const directories = new Set([...this.#paths.values()].map((path) => dirname(path)));
    for (const directory of directories) this.#remove(directory);
  }
}

async function isWritable(directory: string): Promise<boolean> {
  try {
    await access(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
