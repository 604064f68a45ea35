import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';

import type { PlannedHostPath } from '../volumePlan.ts';
import { setUpProblem } from './volumeFiles.ts';

/** What a path must be, by the type of its volume. */
const CHECKS: Readonly<
  Record<string, { readonly what: string; readonly is: (found: Stats) => boolean }>
> = {
  Directory: { what: 'a directory', is: (found) => found.isDirectory() },
  DirectoryOrCreate: { what: 'a directory', is: (found) => found.isDirectory() },
  File: { what: 'a file', is: (found) => found.isFile() },
  FileOrCreate: { what: 'a file', is: (found) => found.isFile() },
  Socket: { what: 'a socket file', is: (found) => found.isSocket() },
  CharDevice: { what: 'a character device', is: (found) => found.isCharacterDevice() },
  BlockDevice: { what: 'a block device', is: (found) => found.isBlockDevice() },
};

/**
 * Checks that a path of the worker's machine is what the pod wants it to be, and makes it if that is
 * wanted.
 *
 * @throws ConfigProblem when it is not; the pod waits until it is, as in Kubernetes.
 */
export async function checkHostPath({ name, path, kind }: PlannedHostPath): Promise<void> {
  const check = CHECKS[kind];
  try {
    if (kind === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
    // Fails on a directory, which is no file either.
    else if (kind === 'FileOrCreate') await (await open(path, 'a', 0o644)).close();
    const found = await stat(path);
    if (check === undefined || check.is(found)) return;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && check === undefined)
      throw problem(name, `path ${path} does not exist`);
    if (check === undefined) throw problem(name, message);
    // What it is instead, or that it is not there, is no different to the pod.
    if (!['ENOENT', 'EEXIST', 'EISDIR', 'ENOTDIR'].includes(code)) throw problem(name, message);
  }
  throw problem(name, `hostPath type check failed: ${path} is not ${check.what}`);
}

function problem(volume: string, message: string): Error {
  return setUpProblem(volume, message, { isOfHost: true });
}
