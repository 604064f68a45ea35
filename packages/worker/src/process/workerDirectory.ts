import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, lstat, mkdir, mkdtemp, opendir, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/**
 * Whose a directory is: tells the living from those left behind by a worker that was killed. In short, since the path
 * of a socket in it can have little more than 100 bytes.
 */
interface Owner {
  /** Digest of its name. */
  readonly host: string;
  /** Digest of what names the machine's present start. */
  readonly boot: string;
  /** The pid namespace that `pid` is of; empty where there are none. */
  readonly pidSpace: string;
  readonly pid: number;
}

/**
 * The directory of one worker for what its pods need. Made when the first pod needs it, below one that all workers of
 * a user share; what workers left there that were killed is removed.
 */
export class WorkerDirectory {
  readonly #shared: string;
  readonly #isOpen: boolean;
  #own: Promise<string> | null = null;

  /**
   * @param parent - A directory for temporary files.
   * @param purpose - What is in it.
   * @param isOpen - Other users pass through to what is within, if they know its name.
   */
  constructor(parent: string, purpose: 'volumes' | 'items' | 'client', isOpen = false) {
    this.#isOpen = isOpen;
    this.#shared = join(parent, `drover-${purpose}-${process.getuid?.() ?? 0}`);
  }

  /** The worker's own directory; a new one when what tidies up temporary files has removed it. @throws Error when it can not be made. */
  async path(): Promise<string> {
    const known = this.#own;
    if (known !== null && existsSync(await known)) return await known;
    if (this.#own === known) {
      const made = this.#make();
      this.#own = made;
      made.catch(() => {
        if (this.#own === made) this.#own = null;
      });
    }
    return await this.#own!;
  }

  /** Lets other users pass through to what is within, if they know its name. */
  async letThrough(): Promise<void> {
    const own = await this.path();
    for (const path of [own, dirname(own)]) await chmod(path, 0o711);
  }

  /** Removes the worker's own directory with all that is in it. */
  async remove(): Promise<void> {
    const own = await this.#own?.catch(() => null);
    this.#own = null;
    if (own !== null && own !== undefined) await removeTree(own);
  }

  /** Removes directories of workers that are no more. Never rejects: they are in nobody's way. */
  async sweep(): Promise<void> {
    // There are none, or they are another user's.
    const names = await readdir(this.#shared).catch(() => []);
    for (const name of names) {
      if (!isLeftBehind(name, thisOwner())) continue;
      // One that can't be removed, say with another user's files or with something mounted, keeps no other one.
      await removeTree(join(this.#shared, name)).catch(() => undefined);
    }
  }

  async #make(): Promise<string> {
    const shared = await privateDirectory(this.#shared);
    const own = join(shared, nameOf(thisOwner()));
    await mkdir(own, { mode: 0o700 });
    if (this.#isOpen) for (const path of [own, shared]) await chmod(path, 0o711);
    return own;
  }
}

/** The directory, or another one when somebody else has put something there. */
async function privateDirectory(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const found = await lstat(path);
  const isOurs = found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid);
  // Others may pass through, but not look around.
  if (isOurs && (found.mode & 0o066) === 0) return path;
  return await mkdtemp(join(dirname(path), `${basename(path)}-`));
}

function thisOwner(): Owner {
  return {
    host: digest(hostname()),
    boot: digest(quietly(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'))),
    pidSpace: quietly(() => readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '')),
    pid: process.pid,
  };
}

function quietly(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function nameOf({ host, boot, pidSpace, pid }: Owner): string {
  return [host, boot, pidSpace, pid, randomBytes(3).toString('hex')].join('~');
}

/** Whether the owner of a directory is known not to live. Of one that can't be known it is not. */
function isLeftBehind(name: string, here: Owner): boolean {
  const [host, boot, pidSpace, pid] = name.split('~');
  if (host !== here.host || pid === undefined) return false;
  if (boot !== here.boot) return true;
  // A pid of another container means nothing here.
  if (pidSpace !== here.pidSpace) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Removes a directory, also one whose directories nobody may write to or enter. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    await openUp(path);
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  }
}

async function openUp(path: string): Promise<void> {
  await chmod(path, 0o700);
  for await (const entry of await opendir(path)) {
    if (entry.isDirectory()) await openUp(join(path, entry.name));
  }
}

/** Bytes on disk of all that is in a directory, as `du` counts them; what vanishes meanwhile is nothing. */
export async function usedBytes(path: string): Promise<number> {
  let bytes = 0;
  try {
    for await (const entry of await opendir(path)) {
      const here = join(path, entry.name);
      if (entry.isDirectory()) bytes += await usedBytes(here);
      const { blocks } = await lstat(here).catch(() => ({ blocks: 0 }));
      bytes += blocks * BLOCK_BYTES;
    }
  } catch {
    // Gone, or closed to the worker by the program: then it is not counted.
  }
  return bytes;
}

/** Unit of `st_blocks`. */
const BLOCK_BYTES = 512;
