/**
 * The process helper: a program of its own that starts the pods' programs and outlives nothing.
 *
 * The worker runs it once, warm, and talks to it over stdin and stdout (frames.ts). When stdin
 * ends, because the worker closed it or died in whatever way, everything it started is killed.
 * That is the whole reason for it being a process: a worker ended by SIGKILL can not clean up.
 *
 * Arguments: directory of the output FIFOs (removed at the end), nonce for the marker variable.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants as fsConstants,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import {
  decodeStart,
  encodeFrame,
  FrameReader,
  FrameType,
  PROTOCOL_VERSION,
  type Frame,
  type StartRequest,
  type StartStep,
} from './frames.ts';
import { MARKER_VARIABLE, StrayFinder } from './strays.ts';

/** Ends of containers within this time share one look for strays. */
const STRAY_DELAY_MS = 20;
/** Shortest time between two looks; a slow one (many processes) is spaced further. */
const STRAY_INTERVAL_MS = 100;
/** A look for strays may take one part in so many of the helper's time. */
const STRAY_TIME_SHARE = 20;
/** Looks at the end, so that what forks while it is being killed is found too. */
const FINAL_LOOKS = 10;

const [directory = '', nonce = ''] = process.argv.slice(2);
/** Main processes that run, by container id. */
const running = new Map<number, ChildProcess>();
/** Main pids of ended containers that may have left strays, by container id. */
const ended = new Map<number, number>();
const strays = new StrayFinder();
let strayTimer: NodeJS.Timeout | undefined;
let nextLookAtMs = 0;

closeInherited();
// Ctrl-C and a supervisor's signals are the worker's business: it ends this process by its pipe.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
  process.on(signal, () => {});
}
process.umask(0o022);

const reader = new FrameReader();
process.stdin.on('data', (chunk: Buffer) => {
  for (const frame of reader.push(chunk)) handle(frame);
});
for (const event of ['end', 'error', 'close'] as const) process.stdin.on(event, finish);
process.stdout.on('error', finish);
process.on('uncaughtException', (error) => {
  process.stderr.write(`process helper: ${error.stack ?? error.message}\n`, () => finish());
});
send(FrameType.ready, 0, [PROTOCOL_VERSION]);

function send(type: number, id: number, fields: readonly string[]): void {
  process.stdout.write(encodeFrame(type, id, fields));
}

function handle(frame: Frame): void {
  if (frame.type === FrameType.start) start(frame.id, decodeStart(frame.fields));
  else if (frame.type === FrameType.signal) {
    const child = running.get(frame.id);
    // Unknown: it ended while the order was on its way.
    if (child?.pid !== undefined) killGroup(child.pid, Number(frame.fields[0]));
  }
}

function start(id: number, request: StartRequest): void {
  const files: number[] = [];
  const startedAtMs = Date.now();
  const failed = (error: NodeJS.ErrnoException): void => {
    send(FrameType.startFailed, id, [error.code ?? error.message, failedStep(error, request)]);
  };
  try {
    const stdout = openFifo(request.stdoutPath);
    files.push(stdout);
    const stderr = openFifo(request.stderrPath);
    files.push(stderr);
    const child = spawn(request.argv[0] ?? '', request.argv.slice(1), {
      cwd: request.workingDir,
      env: { ...request.env, [MARKER_VARIABLE]: `${nonce}.${id}` },
      stdio: ['ignore', stdout, stderr],
      // A session of its own: no terminal, and a process group that can be killed as a whole.
      detached: true,
    });
    child.on('error', (error) => {
      if (child.pid === undefined) failed(error);
    });
    if (child.pid === undefined) return;
    running.set(id, child);
    child.on('exit', (code, signal) => exited(id, child, code, signal));
    send(FrameType.started, id, [String(child.pid), String(startedAtMs)]);
  } catch (error) {
    failed(error as NodeJS.ErrnoException);
  } finally {
    for (const file of files) closeSync(file);
  }
}

/**
 * Opens the writing end in blocking mode, as programs expect of their stdout, without ever
 * blocking here: the worker may have died before its reading end was used.
 */
function openFifo(path: string): number {
  const guard = openSync(path, fsConstants.O_RDONLY | fsConstants.O_NONBLOCK);
  try {
    return openSync(path, fsConstants.O_WRONLY);
  } finally {
    closeSync(guard);
  }
}

/** Tells a bad directory from a bad command; the system reports both with the same errors. */
function failedStep(error: NodeJS.ErrnoException, request: StartRequest): StartStep {
  try {
    accessSync(`${request.workingDir}/.`, fsConstants.X_OK);
  } catch {
    return 'directory';
  }
  return error.syscall?.startsWith('spawn') === true ? 'command' : 'other';
}

function exited(
  id: number,
  child: ChildProcess,
  code: number | null,
  signal: NodeJS.Signals | null,
): void {
  running.delete(id);
  send(FrameType.exited, id, [
    code === null ? '' : String(code),
    signal === null ? '' : String(osConstants.signals[signal]),
    String(Date.now()),
  ]);
  if (child.pid === undefined) return;
  // As in a container, nothing outlives the main process.
  killGroup(child.pid, osConstants.signals.SIGKILL);
  ended.set(id, child.pid);
  lookForStraysLater();
}

function killGroup(pid: number, signal: number): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // No process left in the group.
  }
}

function lookForStraysLater(): void {
  if (strayTimer !== undefined) return;
  const delayMs = Math.max(STRAY_DELAY_MS, nextLookAtMs - performance.now());
  strayTimer = setTimeout(() => {
    strayTimer = undefined;
    const beganAtMs = performance.now();
    const left = killStrays();
    for (const id of ended.keys()) if (!left.has(id)) ended.delete(id);
    const tookMs = performance.now() - beganAtMs;
    nextLookAtMs = performance.now() + Math.max(STRAY_INTERVAL_MS, tookMs * STRAY_TIME_SHARE);
    if (ended.size > 0) lookForStraysLater();
  }, delayMs);
}

/** Kills what ended containers left behind; returns the ids of those that had left something. */
function killStrays(): ReadonlySet<number> {
  const found = strays.find({ nonce, ended, everything: false });
  for (const { pid } of found) killOne(pid);
  return new Set(found.map((stray) => stray.containerId));
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone by itself.
  }
}

/** Kills everything and ends. */
function finish(): never {
  for (const { pid } of running.values()) {
    if (pid !== undefined) killGroup(pid, osConstants.signals.SIGKILL);
  }
  for (const [id, { pid }] of running) if (pid !== undefined) ended.set(id, pid);
  for (let look = 0; look < FINAL_LOOKS; look++) {
    const left = strays.find({ nonce, ended, everything: true });
    if (left.length === 0) break;
    for (const { pid } of left) killOne(pid);
  }
  removeDirectory();
  process.exit(0);
}

function removeDirectory(): void {
  try {
    for (const name of readdirSync(directory)) unlinkSync(join(directory, name));
    rmdirSync(directory);
  } catch {
    // The worker removed it first.
  }
}

/**
 * Closes descriptors the worker inherited from whoever started it and would hand on to every
 * program: Node marks only its own close-on-exec, and one of these may hold a credential.
 */
function closeInherited(): void {
  const CLOSE_ON_EXEC = 0o2000000;
  let names: string[];
  try {
    names = readdirSync('/proc/self/fdinfo');
  } catch {
    // Not Linux: Node has marked the low descriptors when it started.
    return;
  }
  for (const descriptor of names.map(Number).filter((number) => number > 2)) {
    try {
      const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
      const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8);
      if ((flags & CLOSE_ON_EXEC) === 0) closeSync(descriptor);
    } catch {
      // The descriptor the directory itself was read with.
    }
  }
}
