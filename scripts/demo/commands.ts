import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DROVER = fileURLToPath(new URL('../../packages/cli/bin/drover.js', import.meta.url));
const START_TIMEOUT_MS = 30_000;

/** Runs commands of drover against one engine of the demo's own. */
export class Commands {
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;
  #dev: ChildProcess | null = null;

  /** @param dir - A directory of the demo's own: data, log and the context that commands find. */
  constructor(dir: string) {
    this.#dir = dir;
    this.#env = { ...process.env, XDG_STATE_HOME: dir };
    // The demo shows its own engine, whatever else the user has.
    for (const name of Object.keys(this.#env)) {
      if (name.startsWith('DROVER_') && name !== 'DROVER_REDIS_SERVER') delete this.#env[name];
    }
  }

  /** Starts `drover dev`; resolves with the URL of its Redis when it is ready. */
  async startDev(args: readonly string[]): Promise<string> {
    const all = [DROVER, 'dev', '--data-dir', join(this.#dir, 'data'), ...args];
    const dev = spawn(process.execPath, all, {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C is for the demo, which then stops it.
      detached: true,
    });
    this.#dev = dev;
    // However this process ends, short of kill -9.
    process.once('exit', () => dev.kill('SIGTERM'));
    const log = createWriteStream(join(this.#dir, 'dev.log'));
    dev.stderr.pipe(log);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error('drover dev was not ready in time')),
        START_TIMEOUT_MS,
      );
      createInterface({ input: dev.stdout }).on('line', (line) => {
        if (!line.includes('drover dev is ready')) return;
        clearTimeout(timer);
        resolve();
      });
      dev.once('exit', (code) => {
        clearTimeout(timer);
        reject(new Error(`drover dev ended with exit code ${code}`));
      });
    });
    const context = await readFile(join(this.#dir, 'drover', 'dev.json'), 'utf8');
    return (JSON.parse(context) as { redisUrl: string }).redisUrl;
  }

  /** Runs a command and returns what it printed. */
  async drover(...args: string[]): Promise<string> {
    const child = spawn(process.execPath, [DROVER, ...args], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`drover ${args.join(' ')} ended with ${code}: ${err.trim()}`);
    return out;
  }

  /** The last lines that `drover dev` logged. */
  async lastLog(): Promise<string> {
    const text = await readFile(join(this.#dir, 'dev.log'), 'utf8').catch(() => '');
    return text.split('\n').slice(-15).join('\n');
  }

  /** Stops `drover dev` and waits for its end. */
  async stop(): Promise<void> {
    const dev = this.#dev;
    if (dev === null || dev.exitCode !== null || dev.signalCode !== null) return;
    const ended = new Promise((resolve) => dev.once('exit', resolve));
    dev.kill('SIGTERM');
    const timer = setTimeout(() => dev.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  }
}
