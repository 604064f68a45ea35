import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { guardFolder, NodeProcess } from '@drover/testkit';
import { ROOT } from '../../scripts/lib/toolchain.js';

/** How a program ended and what it printed. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Variables that the tests, or npm for them, have for themselves. */
const OF_THIS_RUN =
  /^(DROVER_|NODE_(ENV|OPTIONS|PATH)$|VITEST|npm_(lifecycle|package|config_(local_)?prefix))/;

const runFile = promisify(execFile);

/** An empty folder of somebody who uses the packages; nothing is written outside of it. */
export class UserFolder {
  /** Where the project lies. */
  readonly dir: string;
  /** What is removed at the end. */
  readonly #base: string;

  private constructor(base: string) {
    this.#base = base;
    this.dir = join(base, 'project');
  }

  /** Makes one. */
  static async make(): Promise<UserFolder> {
    const base = await mkdtemp(join(tmpdir(), 'drover-user-'));
    guardFolder(base);
    const folder = new UserFolder(base);
    await Promise.all([mkdir(folder.dir), mkdir(folder.temporary)]);
    return folder;
  }

  /** A folder beside the project. */
  get temporary(): string {
    return join(this.#base, 'tmp');
  }

  /** The environment of somebody who never saw this checkout. */
  get env(): Record<string, string> {
    const inherited = Object.entries(process.env).filter(([name]) => !OF_THIS_RUN.test(name));
    const path = (process.env['PATH'] ?? '')
      .split(delimiter)
      .filter((part) => !part.startsWith(ROOT));
    return {
      ...(Object.fromEntries(inherited) as Record<string, string>),
      PATH: [dirname(process.execPath), ...path].join(delimiter),
      NO_COLOR: '1',
      NODE_COMPILE_CACHE: join(this.temporary, 'compiled'),
      XDG_STATE_HOME: join(this.temporary, 'state'),
      XDG_CACHE_HOME: join(this.temporary, 'cache'),
      npm_config_cache: join(this.temporary, 'npm'),
      npm_config_update_notifier: 'false',
      npm_config_fetch_retry_mintimeout: '500',
      npm_config_fetch_retry_maxtimeout: '1000',
    };
  }

  /** Runs a program in the project to its end. */
  async run(command: string, args: readonly string[]): Promise<Ended> {
    try {
      const ended = await runFile(command, args, { cwd: this.dir, env: this.env });
      return { code: 0, ...ended };
    } catch (error) {
      // Without code and output when it could not be started.
      const { code, stdout, stderr } = error as Partial<Ended>;
      return {
        code: typeof code === 'number' ? code : null,
        stdout: stdout ?? '',
        stderr: stderr ?? '',
      };
    }
  }

  /** Starts a program in the project; it does not outlive the test. */
  start(command: string, args: readonly string[], env: Record<string, string> = {}): NodeProcess {
    return new NodeProcess(
      spawn(command, args, {
        cwd: this.dir,
        env: { ...this.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  }

  /** Removes it. */
  async remove(): Promise<void> {
    await rm(this.#base, { recursive: true, force: true });
  }
}

/** Every file below a folder, as paths from it, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
}
