import { spawn, type ChildProcess } from 'node:child_process';

import { CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { DROVER } from '../launcher.ts';
import { readNote, type RetireOrder, type StartOrder } from '../supervision.ts';

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Options of {@link WorkerChild}. */
export interface WorkerChildOptions {
  /** Name of the node. */
  readonly name: string;
  /** Arguments of `drover worker` beside its name. */
  readonly args: readonly string[];
  /** Where Redis is, once it runs: meanwhile the process can load its code. */
  readonly start: Promise<Omit<StartOrder, 'type'>>;
  /** Told each file that its handlers are made of. */
  readonly onSource: (path: string) => void;
}

/** One process of `drover worker`, from its start to its end. */
export class WorkerChild {
  readonly name: string;
  /** Resolves when it takes pods; rejects with its exit code in words when it ended before. */
  readonly ready: Promise<void>;
  /** Resolves when it ended. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  #isReady = false;

  constructor({ name, args, start, onSource }: WorkerChildOptions) {
    this.name = name;
    this.#child = spawn(
      process.execPath,
      // By the launcher, so that what it does for a quick start is done here too.
      [...process.execArgv, DROVER, 'worker', '--supervised', '--name', name, ...args],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        // Its own group: a Ctrl-C at the terminal is for `drover dev`, which then drains it.
        detached: true,
        env: { ...process.env, DROVER_REDIS_URL: undefined },
      },
    );
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<ProcessEnd>();
    this.ready = ready.promise;
    this.ended = ended.promise;
    // Who waits learns it; who does not must not crash.
    this.ready.catch(() => undefined);
    // Without the order, and when we are gone, the child ends by itself.
    start.then(
      (order) => this.#send({ type: 'start', ...order }),
      () => undefined,
    );
    this.#child.on('message', (message) => {
      const note = readNote(message);
      if (note?.type === 'source') onSource(note.path);
      if (note?.type !== 'ready') return;
      this.#isReady = true;
      ready.resolve();
    });
    this.#child.once('exit', (code, signal) => {
      const how = signal ?? `exit code ${code}`;
      const exitCode = code === EXIT.badInput ? EXIT.badInput : EXIT.failed;
      ready.reject(new CliError(`worker ${name} ended with ${how}`, exitCode));
      ended.resolve({ code, signal });
    });
    this.#child.once('error', (error) => {
      ready.reject(error);
      ended.resolve({ code: null, signal: null });
    });
  }

  /** Process id. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** It has taken pods. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Takes no more pods, and ends when those that run have ended. */
  retire(): void {
    this.#send({ type: 'retire' });
  }

  /** Drains it. */
  stop(): void {
    this.#child.kill('SIGTERM');
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #send(message: StartOrder | RetireOrder): void {
    // It may be gone: then its end says more.
    this.#child.send(message, () => undefined);
  }
}
