import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const LAUNCHER_FOLDER = 'bin';

/** The directory with the command `drover` in a directory of a worker. */
export function launcherPath(directory: string): string {
  return join(directory, LAUNCHER_FOLDER);
}

/** Writes the command `drover` for pods that have its directory in their PATH; anybody may run it, who gets there. */
export async function writeLauncher(directory: string, words: readonly string[]): Promise<void> {
  const folder = launcherPath(directory);
  await mkdir(folder, { mode: 0o755, recursive: true });
  const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  await writeFile(join(folder, 'drover'), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
}
