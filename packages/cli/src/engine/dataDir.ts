import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { newSecretKey } from '@drover/store';

import { badInput } from '../errors.ts';
import { isAlive } from './context.ts';

/**
 * Takes a data directory for this process: two servers on one append-only file would destroy it.
 *
 * @returns Gives it back.
 * @throws CliError when a living process has it, or when it can not be made or written to.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const path = join(dataDir, 'dev.pid');
  const draft = `${path}.${process.pid}`;
  try {
    await makeDirectory(dataDir);
    await writeFile(draft, String(process.pid), { mode: 0o600 });
  } catch (error) {
    throw badInput(`--data-dir: ${dataDir} can not be used: ${(error as Error).message}`);
  }
  try {
    for (let attempt = 1; ; attempt++) {
      const holder = await takeLock(draft, path);
      if (holder === null) return () => rm(path, { force: true });
      // In a container the one that was killed had this pid as well.
      if ((holder > 0 && holder !== process.pid && isAlive(holder)) || attempt === 3) {
        throw badInput(`another \`drover dev\` (pid ${holder}) uses ${dataDir}`, [
          '  use it, end it, or give another --data-dir',
        ]);
      }
      await removeStale(path, holder);
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** Null when this process has the lock now, else the pid of who has it. A lock appears with its content: none is without a holder. */
async function takeLock(draft: string, path: string): Promise<number | null> {
  try {
    await link(draft, path);
    return null;
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    return Number(await readFile(path, 'utf8').catch(() => ''));
  }
}

/** Removes the lock of a process that was killed, but not that of one which was quicker to do so and took it. */
async function removeStale(path: string, holder: number): Promise<void> {
  const aside = `${path}.${process.pid}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  const found = Number(await readFile(aside, 'utf8'));
  if (found !== holder) await link(aside, path).catch(() => undefined);
  await rm(aside);
}

/** Like `mkdir -p`. Node's own does not return where the system says "no such file" of a name below one that is there, as /proc does. */
async function makeDirectory(path: string): Promise<void> {
  const make = (): Promise<void> => mkdir(path, { mode: 0o700 });
  try {
    await make();
  } catch (error) {
    if (isCode(error, 'EEXIST') && (await stat(path)).isDirectory()) return;
    if (!isCode(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeDirectory(dirname(path));
    await make();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The key file of a data directory, for Secrets: made once. */
export async function secretKeyFile(dataDir: string): Promise<string> {
  const path = join(dataDir, 'secret.key');
  try {
    await writeFile(path, `${newSecretKey()}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
  return path;
}

/** The password of a data directory's Redis: made once, so that its URL stays the same. */
export async function readPassword(dataDir: string): Promise<string> {
  const path = join(dataDir, 'password');
  const known = await readFile(path, 'utf8').catch(() => '');
  if (known.trim() !== '') return known.trim();
  const password = randomBytes(24).toString('base64url');
  await writeFile(path, `${password}\n`, { mode: 0o600 });
  return password;
}
