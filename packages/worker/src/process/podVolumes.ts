import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { access, chmod, chown, constants, mkdir, opendir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { subPathProblems } from '@drover/shared';
import type { Logger } from 'pino';

import type { PlannedContainer } from '../containerPlan.ts';
import type { PlannedEmptyDir, PlannedFiles, PlannedVolume, VolumeOwner } from '../volumePlan.ts';
import { expandVariables } from './environment.ts';
import type { ProcessMount } from './frames.ts';
import { keep, type HandOver } from './handOver.ts';
import { checkHostPath } from './hostPath.ts';
import type { VolumeFile } from './volumeFiles.ts';
import { removeTree, usedBytes, WorkerDirectory } from './workerDirectory.ts';

/** Where files lie in memory. */
const MEMORY_DIRECTORY = '/dev/shm';

/** What the files of a pod are like. */
export interface PodFileOptions {
  /** Some of its containers get a file for their last words. */
  readonly hasMessages: boolean;
  readonly owner: VolumeOwner;
}

/** Makes the directories that pods have as volumes, and removes them. */
export class Volumes {
  readonly #disk: WorkerDirectory;
  readonly #memory: WorkerDirectory;
  readonly #logger: Logger;
  readonly #handOver: HandOver;
  /** Directories that are being removed. */
  readonly #removals = new Set<Promise<void>>();

  /** @param directory - Where volumes lie on disk. Default: the directory for temporary files. */
  constructor(logger: Logger, directory: string = tmpdir(), handOver: HandOver = keep) {
    this.#logger = logger;
    this.#handOver = handOver;
    const isOpen = handOver !== keep;
    this.#disk = new WorkerDirectory(directory, 'volumes', isOpen);
    this.#memory = new WorkerDirectory(MEMORY_DIRECTORY, 'volumes', isOpen);
  }

  /** Removes what workers that were killed left behind. */
  async warmUp(): Promise<void> {
    await Promise.all([this.#disk.sweep(), this.#memory.sweep()]);
  }

  /**
   * Makes the volumes of a pod.
   *
   * @param filesOf - The files of a volume that is made of files.
   * @throws ConfigProblem when something is missing that may come. Error when it can not be done.
   */
  async make(
    podUid: string,
    volumes: readonly PlannedVolume[],
    filesOf: (volume: PlannedFiles) => readonly VolumeFile[],
    { hasMessages, owner }: PodFileOptions,
  ): Promise<PodVolumes> {
    // First what may have to be waited for.
    const files = new Map(
      volumes.flatMap((volume) =>
        volume.type === 'files' ? [[volume.name, filesOf(volume)]] : [],
      ),
    );
    for (const volume of volumes) if (volume.type === 'hostPath') await checkHostPath(volume);
    const paths = new Map<string, string>();
    // A pod may be run once more while what its last run left is being removed. Others can not guess it.
    const directory = `${podUid}.${randomBytes(8).toString('hex')}`;
    const made = new PodVolumes(volumes, paths, (path) => this.#remove(path));
    try {
      for (const volume of volumes) {
        const { name } = volume;
        if (volume.type === 'hostPath') {
          paths.set(name, volume.path);
          continue;
        }
        const inMemory = volume.inMemory && (await isWritable(MEMORY_DIRECTORY));
        const root = inMemory ? this.#memory : this.#disk;
        if (owner.isShared) await root.letThrough();
        const path = join(await root.path(), directory, name);
        await mkdir(path, { recursive: true, mode: 0o700 });
        paths.set(name, path);
        for (const file of files.get(name) ?? []) await writeVolumeFile(path, file);
        // As in Kubernetes: whatever user a program makes itself may use it. Only ours gets this far.
        await chmod(path, volume.type === 'files' ? 0o755 : 0o777);
        if (owner.group !== null) await giveToGroup(path, owner.group, volume.type === 'files');
        if (owner.isShared) await chmod(dirname(path), 0o711);
        if (this.#handOver !== keep) await this.#handOver(dirname(path));
      }
      if (hasMessages) {
        if (owner.isShared) await this.#disk.letThrough();
        const path = join(await this.#disk.path(), directory, MESSAGES);
        await mkdir(path, { recursive: true, mode: 0o755 });
        if (owner.isShared) await chmod(dirname(path), 0o711);
        if (this.#handOver !== keep) await this.#handOver(dirname(path));
        made.messageDirectory = path;
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

/** Directory beside the volumes of a pod; no volume can have this name. */
const MESSAGES = '.messages';

/** The volumes of one pod, and other files that are made for it. */
export class PodVolumes {
  /** Where its containers leave their last words; null: nowhere. */
  messageDirectory: string | null = null;
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
      const root = this.#paths.get(name) ?? '';
      const source = part === '' ? root : subPathOf(name, root, part);
      // What is made of objects is not for the pod to change.
      const isMade = this.#planned.some((one) => one.name === name && one.type === 'files');
      wanted.push({ source, target: mountPath, readOnly: readOnly || isMade });
    }
    return wanted;
  }

  /** The file for the last words of a container; null: it gets none. */
  messageFile({
    name,
    messagePath,
  }: Pick<PlannedContainer, 'name' | 'messagePath'>): string | null {
    const { messageDirectory } = this;
    return messagePath === null || messageDirectory === null ? null : join(messageDirectory, name);
  }

  /** The first volume with more in it than it may have, in words; null when there is none. */
  async excess(): Promise<string | null> {
    for (const { name, sizeLimit, sizeLimitBytes } of this.#limited) {
      const path = this.#paths.get(name);
      if (path === undefined) continue;
      if ((await usedBytes(path)) > sizeLimitBytes) {
        return `Usage of EmptyDir volume "${name}" exceeds the limit "${sizeLimit}".`;
      }
    }
    return null;
  }

  /** Some volume has a limit. */
  get hasLimits(): boolean {
    return this.#limited.length > 0;
  }

  get #limited(): PlannedEmptyDir[] {
    return this.#planned.flatMap((volume) =>
      volume.type === 'emptyDir' && volume.sizeLimitBytes < Number.POSITIVE_INFINITY
        ? [volume]
        : [],
    );
  }

  /** Removes them, in the background. */
  remove(): void {
    const made = this.#planned.filter(({ type }) => type !== 'hostPath');
    const paths = made.flatMap(({ name }) => this.#paths.get(name) ?? []);
    if (this.messageDirectory !== null) paths.push(this.messageDirectory);
    const directories = new Set(paths.map((path) => dirname(path)));
    for (const directory of directories) this.#remove(directory);
  }
}

async function writeVolumeFile(root: string, { path, bytes, mode }: VolumeFile): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  await writeFile(file, bytes, { mode: 0o600 });
  // Whatever the worker's umask is.
  await chmod(file, mode);
}

/** Lets a group use a volume, as kubelet does for fsGroup: what is made in it belongs to the group, too. */
async function giveToGroup(path: string, group: number, isReadOnly: boolean): Promise<void> {
  const { mode, uid } = await stat(path);
  const wanted = isReadOnly ? 0o040 : 0o060;
  await chown(path, uid, group);
  await chmod(path, (mode & 0o7777) | wanted | 0o2010);
  for await (const entry of await opendir(path)) {
    const here = join(path, entry.name);
    if (entry.isDirectory()) await giveToGroup(here, group, isReadOnly);
    else {
      const file = await stat(here);
      await chown(here, file.uid, group);
      await chmod(here, (file.mode & 0o7777) | wanted);
    }
  }
}

/** A part of a volume, made as a directory when it is missing. @throws Error when it leads out of the volume. */
function subPathOf(volume: string, root: string, part: string): string {
  const realRoot = realpathSync(root);
  const { mode } = statSync(realRoot);
  let path = realRoot;
  // One folder after the other: a link that a program of the pod left must not have others made elsewhere.
  for (const name of part.split('/')) {
    if (name === '' || name === '.') continue;
    const next = join(path, name);
    if (!existsSync(next)) {
      mkdirSync(next);
      // Who may write to the volume may write there.
      chmodSync(next, mode & 0o7777);
    }
    path = realpathSync(next);
    if (path === realRoot || isWithin(path, realRoot)) continue;
    throw new Error(`volume "${volume}", path "${part}": it leads out of the volume`);
  }
  return path;
}

function isWithin(path: string, root: string): boolean {
  return path.startsWith(root === '/' ? root : `${root}/`);
}

async function isWritable(directory: string): Promise<boolean> {
  try {
    await access(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
