import { lchown, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { ProcessUser } from './frames.ts';

/**
 * Gives what a worker made for a pod to the user that its programs run as. Only before any program can
 * reach it: it follows no link, but what is replaced meanwhile it can not see.
 */
export type HandOver = (path: string) => Promise<void>;

/** Gives to nobody: programs run as the worker. */
export const keep: HandOver = () => Promise.resolve();

/** Gives a file, or a directory with all in it, to a user. */
export function handOverTo({ uid, gid }: ProcessUser): HandOver {
  const give: HandOver = async (path) => {
    await lchown(path, uid, gid);
    const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
    await Promise.all(entries.map(({ name }) => give(join(path, name))));
  };
  return give;
}
