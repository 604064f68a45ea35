import { constants } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { type ItemPerPod, MAX_ITEM_RESULT_BYTES } from '@drover/shared';
import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan, PodExtras } from '../../jobPlan.ts';
import { keep, type HandOver } from '../../process/handOver.ts';
import { WorkerDirectory } from '../../process/workerDirectory.ts';
import { readResult, textOf, tooLong } from '../itemText.ts';
import type { PodItem } from '../podItem.ts';
import { type ItemCarrier, UnfitItemError } from './oneItemLane.ts';

/** Linux gives no program a variable that is longer, name and NUL included: MAX_ARG_STRLEN. */
const MAX_VARIABLE_BYTES = 128 * 1024;
const ITEM_VARIABLE = 'DROVER_ITEM';
const RESULT_FILE = 'result';
/** What is read of a file for a result; white space around it may make it longer than it is. */
const MAX_WRITTEN_BYTES = 2 * MAX_ITEM_RESULT_BYTES;

/** The place of a worker for the files of pods that have one item each. */
export class ItemFiles {
  readonly #directory: WorkerDirectory;
  readonly #logger: Logger;
  /** Lets the programs of a pod in, once all is there. */
  readonly handOver: HandOver;
  #podCount = 0;

  constructor(logger: Logger, handOver: HandOver = keep) {
    this.#directory = new WorkerDirectory(tmpdir(), 'items', handOver !== keep);
    this.#logger = logger;
    this.handOver = handOver;
  }

  /** Makes the directory of a pod, which no other user may enter. @throws Error when that can not be done. */
  async make(): Promise<string> {
    this.#podCount += 1;
    const name = String(this.#podCount);
    const path = join(await this.#directory.path(), name);
    await mkdir(path, { mode: 0o700 });
    return path;
  }

  /** Removes the directory of a pod, in the background. */
  remove(path: string): void {
    rm(path, { recursive: true, force: true }).catch((error: unknown) =>
      this.#logger.warn({ err: error, path }, 'the item of a pod could not be removed'),
    );
  }

  /** Removes all of it. */
  async close(): Promise<void> {
    await this.#directory
      .remove()
      .catch((error: unknown) =>
        this.#logger.warn({ err: error }, 'items of pods could not be removed'),
      );
  }
}

/** Gives a pod's programs its item on standard input, in a variable, or in a file. */
export class ProgramItem implements ItemCarrier {
  readonly #plan: JobPlan;
  readonly #how: ItemPerPod;
  readonly #files: ItemFiles;
  #path: string | null = null;

  constructor(plan: JobPlan, how: ItemPerPod, files: ItemFiles) {
    this.#plan = plan;
    this.#how = how;
    this.#files = files;
  }

  async give(claim: Claim, item: PodItem): Promise<void> {
    const text = textOf(item.data, false);
    if (this.#how === 'env') checkVariable(item, text);
    const path = await this.#files.make();
    this.#path = path;
    const file = join(path, 'item');
    if (this.#how !== 'env') await writeFile(file, `${text}\n`, { mode: 0o600 });
    await this.#files.handOver(path);
    this.#plan.setExtras(claim, this.#extras(item, text, file));
  }

  async result(): Promise<string> {
    const written = await readStart(join(this.#path ?? '', RESULT_FILE));
    const result =
      written.length > MAX_WRITTEN_BYTES
        ? { problem: tooLong(`more than ${MAX_WRITTEN_BYTES}`) }
        : readResult(written);
    if ('problem' in result) throw new UnfitItemError(result.problem);
    return result.json;
  }

  takeBack(claim: Claim): void {
    this.#plan.setExtras(claim, null);
    if (this.#path !== null) this.#files.remove(this.#path);
    this.#path = null;
  }

  #extras({ id, key, attempt }: PodItem, text: string, file: string): PodExtras {
    const variables = {
      DROVER_ITEM_ID: String(id),
      ...(key !== null && { DROVER_ITEM_KEY: key }),
      DROVER_ITEM_ATTEMPT: String(attempt),
      DROVER_ITEM_RESULT_FILE: join(dirname(file), RESULT_FILE),
      ...(this.#how === 'env' && { [ITEM_VARIABLE]: text }),
      ...(this.#how === 'file' && { DROVER_ITEM_FILE: file }),
    };
    const { containerName } = this.#plan;
    return {
      searchPath: null,
      variables: () => variables,
      started: () => undefined,
      input: (container) =>
        this.#how === 'stdin' && container === containerName ? file : undefined,
    };
  }
}

function checkVariable({ id }: PodItem, text: string): void {
  const bytes = Buffer.byteLength(`${ITEM_VARIABLE}=${text}`) + 1;
  if (bytes > MAX_VARIABLE_BYTES) {
    throw new UnfitItemError(
      `item ${id} is too long for an environment variable (${bytes} bytes, at most ${MAX_VARIABLE_BYTES}): give it on stdin or in a file`,
    );
  }
  if (text.includes('\0')) {
    throw new UnfitItemError(
      `item ${id} contains a NUL character, which no environment variable can: give it on stdin or in a file`,
    );
  }
}

/** As much of a file as can be a result, and a byte more when there is more. */
async function readStart(path: string): Promise<Buffer> {
  let file;
  try {
    // A FIFO would have it wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const buffer = Buffer.alloc(MAX_WRITTEN_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } finally {
    await file.close();
  }
}
