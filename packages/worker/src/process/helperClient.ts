import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import {
  encodeFrame,
  encodeStart,
  FrameReader,
  FrameType,
  PROTOCOL_VERSION,
  type Frame,
  type StartRequest,
} from './frames.ts';
import { OutputPipes } from './outputPipes.ts';
import { StrayFinder } from './strays.ts';

/** A helper that is not ready by then is broken. */
const READY_TIMEOUT_MS = 10_000;
/** How long a helper may take to kill its programs and end. */
const CLOSE_TIMEOUT_MS = 5_000;

/** What a helper tells its owner. */
export interface HelperEvents {
  /** A frame about a container. */
  onFrame(frame: Frame): void;
  /** The helper ended though nobody closed it; nothing more comes from it. */
  onLost(reason: string): void;
}

/**
 * One process helper and the pipes of its programs. It is used until it dies or is closed, and
 * then replaced by another.
 */
export class HelperClient {
  readonly pipes: OutputPipes;
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #nonce: string;
  readonly #ended: Promise<void>;
  #isClosing = false;

  private constructor(child: ChildProcess, directory: string, nonce: string) {
    this.#child = child;
    this.#directory = directory;
    this.#nonce = nonce;
    this.pipes = new OutputPipes(directory);
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  /** Pid of the helper. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Starts a helper and waits until it can be used.
   *
   * @throws Error when it can not be started.
   */
  static async launch(logger: Logger, events: HelperEvents): Promise<HelperClient> {
    const directory = await mkdtemp(join(tmpdir(), 'drover-'));
    const nonce = randomBytes(8).toString('hex');
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', helperScript(), directory, nonce],
      {
        // Its own session: neither Ctrl-C nor a signal to the worker's group reaches it.
        detached: true,
        env: helperEnvironment(),
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    const client = new HelperClient(child, directory, nonce);
    try {
      // Both at once: the pipes are ready when the helper is.
      await Promise.all([client.#becomeReady(logger, events), client.pipes.prepare()]);
    } catch (cause) {
      client.#isClosing = true;
      child.kill('SIGKILL');
      await rm(directory, { recursive: true, force: true });
      throw new Error('the process helper could not be started', { cause });
    }
    client.setBusy(false);
    return client;
  }

  /** Asks for a program. @throws RangeError when the request can not be sent, see encodeFrame. */
  start(id: number, request: StartRequest): void {
    this.#child.stdin?.write(encodeStart(id, request));
  }

  /** Asks for a signal to a container's process group. */
  signal(id: number, signalNumber: number): void {
    this.#child.stdin?.write(encodeFrame(FrameType.signal, id, [String(signalNumber)]));
  }

  /** Whether the helper keeps the worker's event loop alive. */
  setBusy(isBusy: boolean): void {
    const handles = [this.#child, ...this.#child.stdio] as (ChildProcess | Socket | null)[];
    for (const handle of handles) {
      if (isBusy) handle?.ref();
      else handle?.unref();
    }
  }

  /** Ends the helper, which kills whatever it started. Resolves when it is gone. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#child.ref();
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(timer);
    await rm(this.#directory, { recursive: true, force: true });
  }

  #becomeReady(logger: Logger, events: HelperEvents): Promise<void> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer in ${READY_TIMEOUT_MS} ms`)),
        READY_TIMEOUT_MS,
      );
      const settle = (error: Error | null): void => {
        clearTimeout(timer);
        if (error === null) resolve();
        else reject(error);
      };
      child.once('error', settle);
      child.once('exit', (code, signal) => {
        settle(new Error(`it ended with ${signal ?? `code ${code}`}`));
        if (!this.#isClosing) this.#lost(`it ended with ${signal ?? `code ${code}`}`, events);
      });
      // Writing to a helper that just died fails; its end is what counts.
      child.stdin?.on('error', () => {});
      if (child.stderr !== null) {
        const lines = createInterface({ input: child.stderr });
        lines.on('line', (line) => logger.error({ helperPid: child.pid }, line));
      }
      const reader = new FrameReader();
      child.stdout?.on('data', (chunk: Buffer) => {
        for (const frame of reader.push(chunk)) {
          if (frame.type !== FrameType.ready) events.onFrame(frame);
          else if (frame.fields[0] === PROTOCOL_VERSION) settle(null);
          else settle(new Error(`it speaks protocol ${frame.fields[0]}, not ${PROTOCOL_VERSION}`));
        }
      });
    });
  }

  /** The helper was killed alone: its programs live on without a parent, so kill them here. */
  #lost(reason: string, events: HelperEvents): void {
    const strays = new StrayFinder();
    for (const { pid } of strays.find({ nonce: this.#nonce, ended: new Map(), everything: true })) {
      killQuietly(pid);
    }
    void rm(this.#directory, { recursive: true, force: true });
    events.onLost(reason);
  }
}

/** Kills a process, or a group when `pid` is negative; one that is gone is no error. */
export function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone.
  }
}

/** The helper's script beside this file: TypeScript in development, JavaScript when published. */
function helperScript(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`./processHelper.${extension}`, import.meta.url));
}

/** What Node itself may need to start. Programs get only what their start frame says. */
function helperEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of ['PATH', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH']) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
