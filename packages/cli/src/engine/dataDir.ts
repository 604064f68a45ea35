import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { newSecretKey } from '@drover/store';

import { badInput } from '../errors.ts';
import { isAlive } from './context.ts';

/**
 * Takes a data directory for this process: two servers on one append-only file would destroy it.
 *
 * @returns Gives it back.
 * @throws CliError when a living process has it.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'dev.pid');
  for (let attempt = 1; ; attempt++) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      const holder = Number(await readFile(path, 'utf8').catch(() => ''));
      if ((holder > 0 && isAlive(holder)) || attempt === 3) {
        throw badInput(`another \`drover dev\` (pid ${holder}) uses ${dataDir}`, [
          '  use it, end it, or give another --data-dir',
        ]);
      }
      // Left behind by one that was killed.
      await rm(path, { force: true });
    }
  }
}

/** The key file of a data directory, for Secrets: made once. */
export async function secretKeyFile(dataDir: string): Promise<string> {
  const path = join(dataDir, 'secret.key');
  try {
    await writeFile(path, `${newSecretKey()}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
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
