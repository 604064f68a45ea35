import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { guardFolder, NodeProcess } from '@drover/testkit';

import { runHosted } from './hosted.ts';

/** The program. */
export const DROVER = fileURLToPath(new URL('../bin/drover.js', import.meta.url));

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of a command. */
export interface RunOptions {
  /** Standard input; closed at once without it, left open with null. */
  readonly input?: string | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Commands that start programs, or write to descriptors: each needs a process of its own. */
const OWN_PROCESS: ReadonlySet<string | undefined> = new Set([
  'consume',
  'controller',
  'dev',
  'run',
  'server',
  'top',
  'worker',
]);

/** A home of its own for commands: they find no engine but that of the test. */
export class Home {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Makes an empty one. */
  static async make(): Promise<Home> {
    const dir = await mkdtemp(join(tmpdir(), 'drover-cli-'));
    guardFolder(dir);
    return new Home(dir);
  }

  /** Removes it. */
  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Writes a file and answers its path. */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.dir, name);
    await writeFile(path, text);
    return path;
  }

  /** Starts a command. */
  start(args: readonly string[], options: RunOptions = {}): NodeProcess {
    const { env, cwd } = this.#surroundings(options);
    const child = spawn(process.execPath, [DROVER, ...args], {
      env,
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => undefined);
    if (options.input !== null) child.stdin.end(options.input ?? '');
    return new NodeProcess(child);
  }

  /** Runs a command to its end: where nothing speaks against it in a process that runs others too. */
  async drover(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return OWN_PROCESS.has(args[0])
      ? await this.droverAlone(args, options)
      : await this.droverHosted(args, options);
  }

  /** Runs any command to its end in a process that runs others too. */
  async droverHosted(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const { input = '' } = options;
    return await runHosted({ args, input, ...this.#surroundings(options) });
  }

  /** Runs a command to its end as users do, in a process of its own. */
  async droverAlone(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const command = this.start(args, options);
    const { code } = await command.exited;
    return { code, stdout: command.output('stdout'), stderr: command.output('stderr') };
  }

  #surroundings({ env, cwd }: RunOptions): { env: NodeJS.ProcessEnv; cwd: string } {
    const { DROVER_REDIS_URL: _theirs, ...inherited } = process.env;
    return {
      env: { ...inherited, XDG_STATE_HOME: this.dir, NO_COLOR: '1', ...env },
      cwd: cwd ?? this.dir,
    };
  }

  /** Starts `drover dev` and waits until it is ready. */
  async dev(args: readonly string[] = []): Promise<NodeProcess> {
    const data = join(this.dir, 'data');
    const dev = this.start(['dev', '--data-dir', data, '--log-level', 'warn', ...args]);
    await dev.waitForLine(/drover dev is ready/, 30_000);
    return dev;
  }
}

/** A manifest of one program. */
export function manifest(name: string, command: readonly string[], spec: object = {}): string {
  return JSON.stringify({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      backoffLimit: 0,
      ...spec,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', command }] } },
    },
  });
}
