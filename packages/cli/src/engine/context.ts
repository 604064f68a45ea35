import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** What a running `drover dev` leaves behind so that other commands find it. */
export interface DevContext {
  /** Process id of `drover dev`; a context whose process is gone is ignored. */
  readonly pid: number;
  /** Where its Redis is, password included: the file is readable by its owner only. */
  readonly redisUrl: string;
  /** Key prefix of the installation. */
  readonly prefix: string;
  /** Where its data is. */
  readonly dataDir: string;
  /** The key file for Secrets. */
  readonly secretKeyFile: string;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** `$XDG_STATE_HOME/drover`, by default `~/.local/state/drover`. */
export function stateDir(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_STATE_HOME'];
  // The XDG rules say that a relative path is to be ignored.
  return join(base?.startsWith('/') ? base : join(homedir(), '.local', 'state'), 'drover');
}

/** The file of the running `drover dev`. */
export function contextPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(stateDir(env), 'dev.json');
}

/** Reads the context of a `drover dev` that is running now; null when there is none. */
export async function readDevContext(path: string = contextPath()): Promise<DevContext | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return null;
  }
  const context = parseContext(text);
  return context !== null && isAlive(context.pid) ? context : null;
}

/** Writes the context as a whole: a reader sees the old one or the new one. */
export async function writeDevContext(
  context: DevContext,
  path: string = contextPath(),
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, `${JSON.stringify(context, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, path);
}

/** Removes the context if it is still ours. */
export async function removeDevContext(pid: number, path: string = contextPath()): Promise<void> {
  try {
    const context = parseContext(await readFile(path, 'utf8'));
    if (context?.pid === pid) await rm(path, { force: true });
  } catch {
    // Gone already.
  }
}

/** Whether a process of that id runs. One of another user counts as alive. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function parseContext(text: string): DevContext | null {
  try {
    const value = JSON.parse(text) as Partial<DevContext> | null;
    if (typeof value?.pid !== 'number' || typeof value.redisUrl !== 'string') return null;
    return {
      pid: value.pid,
      redisUrl: value.redisUrl,
      prefix: value.prefix ?? 'drover',
      dataDir: value.dataDir ?? '',
      secretKeyFile: value.secretKeyFile ?? '',
      startedAt: value.startedAt ?? '',
    };
  } catch {
    return null;
  }
}
