import { execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** The commit that a name stands for; null where its history is not there, as in a shallow clone. */
export async function findCommit(revision: string): Promise<string | null> {
  try {
    const { stdout } = await run('git', ['rev-parse', '--verify', `${revision}^{commit}`], {
      cwd: ROOT,
    });
    return stdout.trim();
  } catch {
    return null;
  }
}

/**
 * A folder with the project as it was at a commit, with its dependencies installed. It is made once and kept below
 * `.drover`: not below `node_modules`, where Node runs no TypeScript.
 *
 * @param files - Of this version, copied into it to be run with the packages of that one.
 */
export async function olderVersion(commit: string, files: readonly string[] = []): Promise<string> {
  const folder = join(ROOT, '.drover', 'older', commit);
  const mark = join(folder, '.drover', 'is-complete');
  if (!existsSync(mark)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, '.drover'), { recursive: true });
    await unpack(commit, folder);
    symlinkSync(join(ROOT, '.drover', 'tools'), join(folder, '.drover', 'tools'));
    await run(process.execPath, ['scripts/setup.js'], { cwd: folder, timeout: 600_000 });
    writeFileSync(mark, '');
  }
  for (const file of files) cpSync(join(ROOT, file), join(folder, file), { recursive: true });
  return folder;
}

async function unpack(commit: string, folder: string): Promise<void> {
  const archive = spawn('git', ['archive', commit], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const tar = spawn('tar', ['-x', '-C', folder], { stdio: [archive.stdout, 'inherit', 'inherit'] });
  for (const child of [archive, tar]) {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      if (child.exitCode === null) child.once('exit', resolve);
      else resolve(child.exitCode);
    });
    if (code !== 0) throw new Error(`git archive ${commit} | tar ended with ${String(code)}`);
  }
}
