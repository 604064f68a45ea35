import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { Logger } from 'pino';

import { CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { isReadyNote, type StartOrder } from '../supervision.ts';

/** A worker that ended less than this after its start waits before the next one. */
const RESTART_DELAY_MS = 1_000;

/** Options of {@link WorkerProcess}. */
export interface WorkerProcessOptions {
  /** Name of the node. */
  readonly name: string;
  /** Arguments of `drover worker` beside its name. */
  readonly args: readonly string[];
  /** Where Redis is, once it runs: meanwhile the process can load its code. */
  readonly start: Promise<Omit<StartOrder, 'type'>>;
  readonly logger: Logger;
}

/** A worker in a process of its own that is started again when it dies. */
export class WorkerProcess {
  readonly #options: WorkerProcessOptions;
  readonly #ready = Promise.withResolvers<void>();
  #child: ChildProcess;
  #wasReady = false;
  #stopping = false;
  #ended: Promise<void>;
  #restart: NodeJS.Timeout | null = null;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    [this.#child, this.#ended] = this.#spawn();
    // Who waits learns it; who does not must not crash.
    this.#ready.promise.catch(() => undefined);
  }

  /** Resolves when it takes pods; rejects with its exit code in words when it can not start. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Drains it with SIGTERM and waits for its end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#child.kill('SIGTERM');
    await this.#ended;
  }

  /** Ends it at once. */
  kill(): void {
    this.#stopping = true;
    this.#child.kill('SIGKILL');
  }

  #spawn(): [ChildProcess, Promise<void>] {
    const { name, args, start } = this.#options;
    // The launcher, so that what it does for a quick start is done here too.
    const drover = fileURLToPath(new URL('../../bin/drover.js', import.meta.url));
    const child = spawn(
      process.execPath,
      [...process.execArgv, drover, 'worker', '--supervised', '--name', name, ...args],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        // Its own group: a Ctrl-C at the terminal is for `drover dev`, which then drains it.
        detached: true,
        env: { ...process.env, DROVER_REDIS_URL: undefined },
      },
    );
    // Without the order, and when we are gone, the child ends by itself.
    start.then(
      (order) => child.send({ type: 'start', ...order } satisfies StartOrder, () => undefined),
      () => undefined,
    );
    child.on('message', (message) => {
      if (!isReadyNote(message)) return;
      this.#wasReady = true;
      this.#ready.resolve();
      this.#options.logger.info({ worker: name, workerPid: child.pid }, 'worker process started');
    });
    const ended = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        this.#onExit(code, signal);
        resolve();
      });
      child.once('error', (error) => {
        this.#ready.reject(error);
        resolve();
      });
    });
    return [child, ended];
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#stopping) return;
    const { name, logger } = this.#options;
    if (!this.#wasReady) {
      const how = signal ?? `exit code ${code}`;
      const isBadInput = code === EXIT.badInput;
      const exitCode = isBadInput ? EXIT.badInput : EXIT.failed;
      this.#ready.reject(new CliError(`worker ${name} ended with ${how}`, exitCode));
      return;
    }
    logger.warn({ worker: name, code, signal }, 'worker died; starting another');
    this.#restart = setTimeout(() => {
      [this.#child, this.#ended] = this.#spawn();
    }, RESTART_DELAY_MS);
  }
}
