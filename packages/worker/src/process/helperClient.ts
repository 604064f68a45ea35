import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { HelperLog } from './helperLog.ts';
import { encodeFrame, FrameReader, FrameType, PROTOCOL_VERSION, type FrameSink } from './frames.ts';
import type { HelperProgram, HelperSource } from './helperProgram.ts';
import { HelperReplies } from './helperReplies.ts';
import { StrayFinder } from './strays.ts';

/** A helper that is not ready by then is broken. */
const READY_TIMEOUT_MS = 10_000;
/** How long a helper may take to kill its programs and end. */
const CLOSE_TIMEOUT_MS = 5_000;

/** What a helper tells its owner. */
export interface HelperEvents extends FrameSink {
  /** The helper ended though nobody closed it; nothing more comes from it. */
  onLost(reason: string): void;
}

/** One process helper. It is used until it dies or is closed, and then replaced by another. */
export class HelperClient {
  readonly program: HelperProgram;
  readonly #child: ChildProcess;
  /** For its FIFOs. */
  readonly #directory: string;
  readonly #nonce: string;
  readonly #ended: Promise<void>;
  #isBusy = true;
  #isClosing = false;
  #replies: HelperReplies | null = null;
  /** Frames asked for in this turn of the loop. */
  #outgoing: Buffer[] = [];
  readonly #flush = (): void => this.#writeOutgoing();

  private constructor(
    program: HelperProgram,
    child: ChildProcess,
    directory: string,
    nonce: string,
  ) {
    this.program = program;
    this.#child = child;
    this.#directory = directory;
    this.#nonce = nonce;
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  /** Pid of the helper. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Starts the first helper of the sources that works, and waits until it can be used.
   *
   * @throws Error when none does; it says why not, for each.
   */
  static async launch(
    sources: readonly HelperSource[],
    logger: HelperLog,
    events: HelperEvents,
  ): Promise<HelperClient> {
    const problems: string[] = [];
    for (const source of sources) {
      try {
        const program = await source();
        if (program === null) continue;
        const client = await HelperClient.#launchOne(program, logger, events);
        logger.info(
          { helper: program.kind, helperPid: client.pid, ...(problems.length > 0 && { problems }) },
          `programs are started by the ${program.kind} process helper`,
        );
        return client;
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
      }
    }
    throw new Error(`the process helper could not be started: ${problems.join('; ')}`);
  }

  static async #launchOne(
    program: HelperProgram,
    logger: HelperLog,
    events: HelperEvents,
  ): Promise<HelperClient> {
    const { kind, command, args } = program;
    const directory = await mkdtemp(join(tmpdir(), 'drover-'));
    const nonce = randomBytes(8).toString('hex');
    const child = spawn(command, [...args, nonce, directory, String(process.pid)], {
      // Its own session: neither Ctrl-C nor a signal to the worker's group reaches it.
      detached: true,
      env: helperEnvironment(),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const client = new HelperClient(program, child, directory, nonce);
    try {
      await client.#becomeReady(logger, events);
    } catch (error) {
      client.#isClosing = true;
      child.kill('SIGKILL');
      client.#replies?.close();
      await client.#removeDirectory();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`the ${kind} one, ${command}: ${reason}`, { cause: error });
    }
    // The native one needs its only FIFO no more, and can not remove it when it is killed.
    if (kind === 'native') await client.#removeDirectory();
    client.setBusy(false);
    return client;
  }

  /** Sends a frame. What is sent in one turn of the loop goes out together. */
  send(frame: Buffer): void {
    if (this.#outgoing.push(frame) === 1) process.nextTick(this.#flush);
  }

  /** Asks for a signal to a container's process group. */
  signal(id: number, signalNumber: number): void {
    this.send(encodeFrame(FrameType.signal, id, [String(signalNumber)]));
  }

  /** Whether the helper keeps the worker's event loop alive. */
  setBusy(isBusy: boolean): void {
    if (isBusy === this.#isBusy) return;
    this.#isBusy = isBusy;
    this.#replies?.setBusy(isBusy);
    const handles = [this.#child, ...this.#child.stdio] as (ChildProcess | Socket | null)[];
    for (const handle of handles) {
      // A socket that is closed takes the call for one to come and keeps it.
      if (handle === null || ('destroyed' in handle && handle.destroyed)) continue;
      if (isBusy) handle.ref();
      else handle.unref();
    }
  }

  /** Ends the helper, which kills whatever it started. Resolves when it is gone. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#child.ref();
    this.#writeOutgoing();
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(timer);
    // It could not kill what it had started.
    if (this.#child.signalCode !== null) this.#killStrays();
    this.#replies?.close();
    await this.#removeDirectory();
  }

  /** One write: a stream that is corked for it takes several times as long. */
  #writeOutgoing(): void {
    const frames = this.#outgoing;
    if (frames.length === 0) return;
    this.#outgoing = [];
    this.#child.stdin?.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  #becomeReady(logger: HelperLog, events: HelperEvents): Promise<void> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer in ${READY_TIMEOUT_MS} ms`)),
        READY_TIMEOUT_MS,
      );
      const words: string[] = [];
      const settle = (error: Error | null): void => {
        clearTimeout(timer);
        if (error === null) resolve();
        else reject(error);
      };
      child.once('error', settle);
      child.once('close', (code, signal) => {
        const reason = `it ended with ${signal ?? `code ${code}`}`;
        settle(new Error([reason, ...words].join(': ')));
        // The ends that it told are read first.
        void this.#replies?.ended.then(() => {
          if (!this.#isClosing) this.#lost(reason, events);
        });
      });
      // Writing to a helper that just died fails; its end is what counts.
      child.stdin?.on('error', () => {});
      if (child.stderr !== null) {
        const lines = createInterface({ input: child.stderr });
        lines.on('line', (line) => {
          if (this.#replies === null) words.push(line);
          else logger.error({ helperPid: child.pid }, line);
        });
      }
      const reader = new FrameReader({
        onFrame: ({ type, fields: [version, path = ''] }) => {
          if (type !== FrameType.ready) return;
          if (version === PROTOCOL_VERSION) settle(this.#openReplies(path, logger, events));
          else settle(new Error(`it speaks protocol ${version}, not ${PROTOCOL_VERSION}`));
        },
        onOutput: () => {},
      });
      child.stdout?.on('data', (chunk: Buffer) => {
        this.#guard(() => reader.push(chunk), logger);
      });
    });
  }

  #openReplies(path: string, logger: HelperLog, events: HelperEvents): Error | null {
    const reader = new FrameReader(events);
    try {
      this.#replies = HelperReplies.open(path, (bytes) => {
        this.#guard(() => reader.push(bytes), logger);
      });
      return null;
    } catch (error) {
      return error as Error;
    }
  }

  /** A broken helper must not take the worker with it. */
  #guard(read: () => void, logger: HelperLog): void {
    try {
      read();
    } catch (error) {
      logger.error({ err: error, helperPid: this.pid }, 'the process helper is broken');
      this.#child.kill('SIGKILL');
    }
  }

  /** The helper was killed alone: its programs live on without a parent, so kill them here. */
  #lost(reason: string, events: HelperEvents): void {
    this.#killStrays();
    void this.#removeDirectory();
    events.onLost(reason);
  }

  #killStrays(): void {
    const strays = new StrayFinder();
    for (const { pid } of strays.find({ nonce: this.#nonce, ended: new Map(), everything: true })) {
      killQuietly(pid);
    }
  }

  async #removeDirectory(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
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

/** What Node itself may need to start. Programs get only what their start frame says. */
function helperEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of ['PATH', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH']) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
