import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Logger } from 'pino';

import { keep, type HandOver } from '../../process/handOver.ts';
import { launcherPath, writeLauncher } from '../../process/launcher.ts';
import { WorkerDirectory } from '../../process/workerDirectory.ts';

/** Longest path of a unix socket, bytes: on Linux 108 with the NUL at its end, on macOS 104. */
export const MAX_SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

/** The place of a worker for the sockets of its pods, and for the command `drover` that they find in PATH. */
export class SocketDirectory {
  readonly #candidates: readonly WorkerDirectory[];
  readonly #launcher: readonly string[] | undefined;
  readonly #logger: Logger;
  readonly #handOver: HandOver;
  #directory: Promise<{ readonly of: WorkerDirectory; readonly path: string }> | null = null;
  #podCount = 0;

  /** @param launcher - Words that start the command `drover`; undefined: pods do not get it. */
  constructor(launcher: readonly string[] | undefined, logger: Logger, handOver: HandOver = keep) {
    this.#handOver = handOver;
    const isOpen = handOver !== keep;
    const parents = [...new Set([tmpdir(), '/tmp'])];
    this.#candidates = parents.map((parent) => new WorkerDirectory(parent, 'items', isOpen));
    this.#launcher = launcher;
    this.#logger = logger;
  }

  /** Removes what workers that were killed left behind. */
  async warmUp(): Promise<void> {
    await Promise.all(this.#candidates.map((candidate) => candidate.sweep()));
  }

  /**
   * Makes the directory of a pod, which no other user may enter.
   *
   * @param count - So many sockets will be in it.
   * @throws Error when that can not be done.
   */
  async make(count: number): Promise<SocketPlaces> {
    this.#podCount += 1;
    const name = String(this.#podCount);
    const longest = join(name, socketName(count));
    const own = await this.#own(longest);
    const path = join(own, name);
    await mkdir(path, { mode: 0o700 });
    return {
      open: async () => await this.#handOver(path),
      paths: Array.from({ length: count }, (_, i) => join(path, socketName(i))),
      searchPath: this.#launcher === undefined ? null : launcherPath(own),
      remove: () => {
        rm(path, { recursive: true, force: true }).catch((error: unknown) =>
          this.#logger.warn({ err: error, path }, 'a socket of a pod could not be removed'),
        );
      },
    };
  }

  /** Removes all of it. */
  async close(): Promise<void> {
    await Promise.all(this.#candidates.map((candidate) => candidate.remove())).catch(
      (error: unknown) => this.#logger.warn({ err: error }, 'sockets could not be removed'),
    );
  }

  async #own(longest: string): Promise<string> {
    const known = this.#directory;
    if (known !== null) {
      const { of, path } = await known;
      if ((await of.path()) === path) return path;
      // It was removed, and the command in it.
      if (this.#directory === known) this.#directory = null;
    }
    this.#directory ??= this.#choose(longest).catch((error: unknown) => {
      this.#directory = null;
      throw error;
    });
    return (await this.#directory).path;
  }

  async #choose(longest: string): Promise<{ of: WorkerDirectory; path: string }> {
    const problems: string[] = [];
    for (const candidate of this.#candidates) {
      try {
        const own = await candidate.path();
        const bytes = Buffer.byteLength(join(own, longest)) + SPARE_BYTES;
        if (bytes > MAX_SOCKET_PATH_BYTES) {
          await candidate.remove();
          throw new Error(`${own} is too long for the path of a socket`);
        }
        if (this.#launcher !== undefined) await writeLauncher(own, this.#launcher);
        return { of: candidate, path: own };
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
    throw new Error(problems.join('; '));
  }
}

/** Where the sockets of a pod are. */
export interface SocketPlaces {
  /** One for each container. */
  readonly paths: readonly string[];
  /** Directory with the command `drover`; null: there is none. */
  readonly searchPath: string | null;
  /** Lets the programs of the pod in, once the sockets are there. */
  open(): Promise<void>;
  /** Removes them, in the background. */
  remove(): void;
}

/** Pods that come later have longer numbers. */
const SPARE_BYTES = 12;

function socketName(index: number): string {
  return `${index}.sock`;
}
