import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { lockDataDir } from '../../src/engine/dataDir.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-data-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** The pid of a process that was, and is no more. */
function deadPid(): number {
  return spawnSync('true').pid;
}

describe('a data directory', () => {
  test('is made with those above it, and taken by one process', async () => {
    const path = join(directory, 'a', 'b');
    const unlock = await lockDataDir(path);
    expect(await readdir(path)).toEqual(['dev.pid']);
    expect(await readFile(join(path, 'dev.pid'), 'utf8')).toBe(String(process.pid));
    await unlock();
    expect(await readdir(path)).toEqual([]);
  });

  test('that a living process has is not taken', async () => {
    await writeFile(join(directory, 'dev.pid'), String(process.ppid));
    await expect(lockDataDir(directory)).rejects.toThrow(
      `another \`drover dev\` (pid ${process.ppid}) uses ${directory}`,
    );
    expect(await readdir(directory)).toEqual(['dev.pid']);
  });

  test.each([
    ['was killed', deadPid],
    ['was killed in a container, where each start has the same pid', () => process.pid],
  ])('that a process left which %s is taken over', async (_, pid) => {
    await writeFile(join(directory, 'dev.pid'), String(pid()));
    await lockDataDir(directory);
    expect(await readdir(directory)).toEqual(['dev.pid']);
    expect(await readFile(join(directory, 'dev.pid'), 'utf8')).toBe(String(process.pid));
  });

  test.runIf(process.platform === 'linux').each(['/proc/x', '/proc/x/y', '/dev/null/x'])(
    'where none can be is refused at once: %s',
    async (path) => {
      await expect(lockDataDir(path)).rejects.toThrow(
        new RegExp(`^--data-dir: ${path} can not be used: E\\w+: `, 'u'),
      );
    },
  );
});
