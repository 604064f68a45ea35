import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ClientConnection } from '@drover/shared';
import type { Logger } from 'pino';

import { keep, type HandOver } from '../process/handOver.ts';
import { launcherPath, writeLauncher } from '../process/launcher.ts';
import { WorkerDirectory } from '../process/workerDirectory.ts';

/** What programs that are clients find on disk. */
export interface ClientPlaces {
  /** The file that says how to reach Redis. */
  readonly file: string;
  /** Directory with the command `drover`; null: there is none. */
  readonly searchPath: string | null;
}

/** The file of a worker from which its pods learn how to reach Redis: never from environment or arguments. */
export class ClientDirectory {
  readonly #directory: WorkerDirectory;
  readonly #handOver: HandOver;
  readonly #connection: ClientConnection;
  readonly #launcher: readonly string[] | undefined;
  readonly #logger: Logger;
  #places: Promise<ClientPlaces> | null = null;

  constructor(
    connection: ClientConnection,
    launcher: readonly string[] | undefined,
    logger: Logger,
    handOver: HandOver = keep,
  ) {
    this.#directory = new WorkerDirectory(tmpdir(), 'client', handOver !== keep);
    this.#handOver = handOver;
    this.#connection = connection;
    this.#launcher = launcher;
    this.#logger = logger;
  }

  /** Removes what workers that were killed left behind. */
  async warmUp(): Promise<void> {
    await this.#directory.sweep();
  }

  /** Makes the file when the first pod needs it. @throws Error when it can not be made. */
  async places(): Promise<ClientPlaces> {
    const known = this.#places;
    // What tidies up temporary files may have removed it.
    if (known !== null && !existsSync((await known).file) && this.#places === known) {
      this.#places = null;
    }
    this.#places ??= this.#make().catch((error: unknown) => {
      this.#places = null;
      throw error;
    });
    return await this.#places;
  }

  /** Removes it. */
  async close(): Promise<void> {
    await this.#directory
      .remove()
      .catch((error: unknown) =>
        this.#logger.warn({ err: error }, 'the file for clients could not be removed'),
      );
  }

  async #make(): Promise<ClientPlaces> {
    const own = await this.#directory.path();
    const file = join(own, 'client.json');
    await writeFile(file, JSON.stringify(this.#connection), { mode: 0o600 });
    await this.#handOver(file);
    if (this.#launcher === undefined) return { file, searchPath: null };
    await writeLauncher(own, this.#launcher);
    return { file, searchPath: launcherPath(own) };
  }
}
