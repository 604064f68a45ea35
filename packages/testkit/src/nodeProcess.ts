import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { guardProcess } from './watchdog.ts';

/** How a process of `spawnNode` starts. */
export interface SpawnNodeOptions {
  /** Added to the environment of the test process; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Working directory. Default: that of the test process. */
  readonly cwd?: string;
  /** Flags of Node itself, before the script. */
  readonly execArgv?: readonly string[];
  /** What starts it in its own place, such as `['nsenter', '--net=...']`. */
  readonly within?: readonly string[];
}

/** How a process ended: its exit code, or the signal that ended it. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A line of output and where it came from. */
export interface OutputLine {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** A wait for a line that has not come yet. */
interface LineWaiter {
  readonly pattern: RegExp;
  readonly found: (match: RegExpExecArray) => void;
}

/** A Node process that a test started; it never outlives the test process. */
export class NodeProcess {
  /** Every line so far, of both streams, in the order they came. */
  readonly lines: OutputLine[] = [];
  /** Resolves when the process ended and its output was read. Never rejects. */
  readonly exited: Promise<ProcessEnd>;
  /** The process itself, for stdin and the like. */
  readonly child: ChildProcess;
  #waiters: LineWaiter[] = [];
  #end: ProcessEnd | null = null;

  /** Use {@link spawnNode}. */
  constructor(child: ChildProcess) {
    this.child = child;
    guardProcess(child);
    this.#read('stdout');
    this.#read('stderr');
    this.exited = new Promise((resolve) => {
      child.once('error', () => resolve({ code: null, signal: null }));
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    void this.exited.then((end) => (this.#end = end));
  }

  /** Process id. */
  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the process could not be started');
    return this.child.pid;
  }

  /** Whether it ended. */
  get isOver(): boolean {
    return this.#end !== null;
  }

  /** All lines of a stream, or of both, as one text. */
  output(stream?: OutputLine['stream']): string {
    const lines = this.lines.filter((line) => stream === undefined || line.stream === stream);
    return lines.map((line) => `${line.text}\n`).join('');
  }

  /**
   * Waits for a line of either stream that matches; lines that came before count.
   *
   * @param timeoutMs - Default 30,000.
   * @returns The match.
   * @throws Error with the output so far, on timeout or when the process ends without the line.
   */
  async waitForLine(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    for (const line of this.lines) {
      const match = pattern.exec(line.text);
      if (match !== null) return match;
    }
    const wait = Promise.withResolvers<RegExpExecArray>();
    const waiter: LineWaiter = { pattern, found: wait.resolve };
    this.#waiters.push(waiter);
    const fail = (why: string): void => {
      wait.reject(new Error(`no line matches ${String(pattern)}: ${why}\n${this.output()}`));
    };
    const timer = setTimeout(() => fail(`waited ${timeoutMs} ms`), timeoutMs);
    void this.exited.then(({ code, signal }) => fail(`it ended with ${String(signal ?? code)}`));
    try {
      return await wait.promise;
    } finally {
      clearTimeout(timer);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
  }

  /** Sends a signal (default SIGTERM) and returns how the process ended. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProcessEnd> {
    this.signal(signal);
    return this.exited;
  }

  /** Sends a signal without waiting; does nothing to a process that ended. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  #read(stream: OutputLine['stream']): void {
    const source = this.child[stream];
    if (source === null) return;
    createInterface({ input: source, crlfDelay: Infinity }).on('line', (text) => {
      this.lines.push({ stream, text });
      for (const waiter of this.#waiters) {
        const match = waiter.pattern.exec(text);
        if (match !== null) waiter.found(match);
      }
    });
  }
}

/**
 * Starts a script (TypeScript or JavaScript) with the Node that runs the tests.
 *
 * The process dies with the test process, kill -9 of it included.
 *
 * @param script - Path of the script.
 */
export function spawnNode(
  script: string,
  args: readonly string[] = [],
  options: SpawnNodeOptions = {},
): NodeProcess {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...process.env, ...options.env })) {
    if (value !== undefined) env[name] = value;
  }
  const node = [process.execPath, ...(options.execArgv ?? []), script, ...args];
  const [command = '', ...rest] = [...(options.within ?? []), ...node];
  const child = spawn(command, rest, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  return new NodeProcess(child);
}
