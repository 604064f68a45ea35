/**
 * The process helper in JavaScript: a program of its own that starts the pods' programs and
 * outlives nothing. It is used where the native one (packages/worker/native) can be neither found
 * nor compiled, and does the same, only slower; docs/design/0002-process-helper.md says what.
 *
 * The worker runs it once, warm, and talks to it over stdin and stdout (frames.ts). When stdin
 * ends, because the worker closed it or died in whatever way, everything it started is killed.
 * That is the whole reason for it being a process: a worker ended by SIGKILL can not clean up.
 *
 * Arguments: nonce for the marker variable, directory for its FIFOs (removed at the end).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants as fsConstants,
  fchownSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import {
  decodeStart,
  encodeFrame,
  encodeOutput,
  FrameReader,
  FrameType,
  PROTOCOL_VERSION,
  type Frame,
  type OutputStream,
  type StartRequest,
  type StartStep,
} from './frames.ts';
import { OutputPipes, type OutputPipe } from './outputPipes.ts';
import { MARKER_VARIABLE, StrayFinder } from './strays.ts';

/**
 * A program that is this young is not watched yet: most that end so soon cost one message and
 * no sockets, and the worker can wait so long for the news that it runs.
 */
const YOUNG_MS = 10;
/** How long output is waited for after the main process ended; only strays can hold it up. */
const DRAIN_TIMEOUT_MS = 1_000;
/** Messages are gathered up to this size. */
const MAX_GATHERED_BYTES = 256 * 1024;
/** Ends of containers within this time share one look for strays. */
const STRAY_DELAY_MS = 20;
/** Shortest time between two looks; a slow one (many processes) is spaced further. */
const STRAY_INTERVAL_MS = 100;
/** A look for strays may take one part in so many of the helper's time. */
const STRAY_TIME_SHARE = 50;
/** Looks at the end, so that what forks while it is being killed is found too. */
const FINAL_LOOKS = 10;
/** Why a program has no mounts. */
const NO_MOUNTS = 'a C compiler is needed on the worker';

const [nonce = '', directory = ''] = process.argv.slice(2);

/** A program that runs, or whose output is still being read. */
interface Container {
  readonly id: number;
  readonly child: ChildProcess;
  readonly pid: number;
  /** Pipes that may still bring output. */
  readonly pipes: Map<OutputPipe, OutputStream>;
  readonly startedAtMs: number;
  /** The worker knows that it runs. */
  isAnnounced: boolean;
  /** Runs {@link watch} once, or gives up the output of one that ended. */
  timer: NodeJS.Timeout;
  /** Pipes are being read as they fill. */
  isWatched: boolean;
  /** Fields of the frame that tells its end. */
  exit: readonly string[] | null;
}

/** Programs that wait for pipes, with the signal that they are to get, by container id. */
const waiting = new Map<number, number | null>();
/** Main processes that run, by container id. */
const running = new Map<number, Container>();
/** Main pids of ended containers that may have left strays, by container id. */
const ended = new Map<number, number>();
const pipes = new OutputPipes(directory);
const strays = new StrayFinder();
let strayTimer: NodeJS.Timeout | undefined;
let nextLookAtMs = 0;
let gathered: Buffer[] = [];
let gatheredBytes = 0;

closeInherited();
// Ctrl-C and a supervisor's signals are the worker's business: it ends this process by its pipe.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
  process.on(signal, () => {});
}
process.umask(0o022);
process.on('uncaughtException', (error) => {
  process.stderr.write(`process helper: ${error.stack ?? error.message}\n`, () => finish());
});

const reader = new FrameReader({ onFrame: handle, onOutput: () => {} });
process.stdin.on('data', (chunk: Buffer) => reader.push(chunk));
for (const event of ['end', 'error', 'close'] as const) process.stdin.on(event, finish);
await pipes.makeMore();
const repliesPath = await pipes.makeOne('replies');
// Keeps the FIFO open until the worker reads it, which it does before it sends anything.
const replyGuard = openSync(repliesPath, fsConstants.O_RDONLY | fsConstants.O_NONBLOCK);
const replies = openSync(repliesPath, fsConstants.O_WRONLY);
process.stdin.once('data', () => closeSync(replyGuard));
writeSync(1, encodeFrame(FrameType.ready, 0, [PROTOCOL_VERSION, repliesPath]));

/** Sends a frame together with what else comes in this turn of the loop. */
function send(frame: Buffer): void {
  if (gathered.length === 0) setImmediate(flush);
  gathered.push(frame);
  gatheredBytes += frame.length;
  if (gatheredBytes > MAX_GATHERED_BYTES) flush();
}

/** Waits while the worker does not read, and with it all programs that write. */
function flush(): void {
  let bytes = Buffer.concat(gathered);
  gathered = [];
  gatheredBytes = 0;
  try {
    while (bytes.length > 0) bytes = bytes.subarray(writeSync(replies, bytes));
  } catch {
    // The worker is gone.
    finish();
  }
}

function handle(frame: Frame): void {
  if (frame.type === FrameType.start) void begin(frame.id, decodeStart(frame.fields));
  else if (frame.type === FrameType.signal) sendSignal(frame.id, Number(frame.fields[0]));
}

function sendSignal(id: number, signalNumber: number): void {
  if (waiting.has(id)) waiting.set(id, signalNumber);
  // Unknown: it ended while the order was on its way.
  const container = running.get(id);
  if (container !== undefined) killGroup(container.pid, signalNumber);
}

async function begin(id: number, request: StartRequest): Promise<void> {
  if (request.mounts.some(({ isRequired = false }) => isRequired)) {
    send(encodeFrame(FrameType.startFailed, id, [NO_MOUNTS, 'mounts']));
    return;
  }
  if (request.user !== null && request.user.groups.length > 0) {
    // Node drops them all when it changes the user.
    send(encodeFrame(FrameType.startFailed, id, ['ENOSYS', 'user']));
    return;
  }
  if (request.user !== null && process.getuid?.() !== 0) {
    send(encodeFrame(FrameType.startFailed, id, ['EPERM', 'user']));
    return;
  }
  if (request.cgroup !== null) {
    // Node starts programs where it is itself; the worker knows.
    send(encodeFrame(FrameType.startFailed, id, ['ENOSYS', 'cgroup']));
    return;
  }
  let pair = pipes.takePair();
  try {
    if (pair === null) {
      waiting.set(id, null);
      while (pair === null) {
        await pipes.makeMore();
        pair = pipes.takePair();
      }
    }
    start(id, request, pair);
    const early = waiting.get(id) ?? null;
    waiting.delete(id);
    if (early !== null) sendSignal(id, early);
  } catch (error) {
    waiting.delete(id);
    failed(id, request, error as NodeJS.ErrnoException);
  }
}

function start(id: number, request: StartRequest, pair: [OutputPipe, OutputPipe]): void {
  const ends: number[] = [];
  let child: ChildProcess | null = null;
  try {
    for (const pipe of pair) ends.push(pipe.open());
    // So that it may open /dev/stdout.
    for (const end of ends)
      if (request.user !== null) fchownSync(end, request.user.uid, request.user.gid);
    if (request.input !== null) ends.push(openInput(request.input));
    child = spawn(request.argv[0] ?? '', request.argv.slice(1), {
      cwd: request.workingDir,
      ...(request.user === null ? {} : { uid: request.user.uid, gid: request.user.gid }),
      env: { ...request.env, [MARKER_VARIABLE]: `${nonce}.${id}` },
      stdio: [ends[2] ?? 'ignore', ends[0], ends[1]],
      // A session of its own: no terminal, and a process group that can be killed as a whole.
      detached: true,
    });
    child.on('error', (error) => {
      if (child?.pid === undefined) failed(id, request, error);
    });
  } finally {
    for (const end of ends) closeSync(end);
    if (child?.pid === undefined) for (const pipe of pair) pipes.giveBack(pipe, true);
  }
  if (child.pid !== undefined) addRunning(id, child, child.pid, pair, request);
}

/** Opens a file or FIFO to be read. One without a writer must not hold up the helper. */
function openInput(path: string): number {
  const { O_RDONLY, O_WRONLY, O_NONBLOCK } = fsConstants;
  const first = openSync(path, O_RDONLY | O_NONBLOCK);
  if (!fstatSync(first).isFIFO()) return first;
  // The program's own end must block, as programs expect: it is opened while the FIFO has both ends.
  const writer = openSync(path, O_WRONLY | O_NONBLOCK);
  try {
    return openSync(path, O_RDONLY);
  } finally {
    closeSync(first);
    closeSync(writer);
  }
}

function addRunning(
  id: number,
  child: ChildProcess,
  pid: number,
  pair: [OutputPipe, OutputPipe],
  request: StartRequest,
): void {
  const container: Container = {
    id,
    child,
    pid,
    pipes: new Map([
      [pair[0], 'stdout'],
      [pair[1], 'stderr'],
    ]),
    startedAtMs: Date.now(),
    isAnnounced: false,
    timer: setTimeout(() => watch(container, request), YOUNG_MS),
    isWatched: false,
    exit: null,
  };
  running.set(id, container);
  child.on('exit', (code, signalName) => {
    announce(container, request);
    exited(container, code, signalName);
  });
}

function announce(container: Container, request: StartRequest): void {
  if (container.isAnnounced) return;
  container.isAnnounced = true;
  const problem = request.mounts.length === 0 ? '' : NO_MOUNTS;
  const { id, pid, startedAtMs } = container;
  send(encodeFrame(FrameType.started, id, [String(pid), String(startedAtMs), problem]));
}

/** The program is no longer young: it is told that it runs, and read as it writes. */
function watch(container: Container, request: StartRequest): void {
  announce(container, request);
  readPipes(container);
}

function readPipes(container: Container): void {
  container.isWatched = true;
  for (const [pipe, stream] of container.pipes) {
    pipe.read(
      (chunk) => send(encodeOutput(container.id, stream, chunk)),
      (sawEnd) => pipeClosed(container, pipe, sawEnd),
    );
  }
}

function pipeClosed(container: Container, pipe: OutputPipe, sawEnd: boolean): void {
  container.pipes.delete(pipe);
  pipes.giveBack(pipe, sawEnd);
  completeIfDone(container);
}

function completeIfDone({ id, exit, pipes: open, timer }: Container): void {
  if (exit === null || open.size > 0) return;
  clearTimeout(timer);
  send(encodeFrame(FrameType.exited, id, exit));
}

/** Tells a bad directory from a bad command; the system reports both with the same errors. */
function failedStep(error: NodeJS.ErrnoException, request: StartRequest): StartStep {
  try {
    accessSync(`${request.workingDir}/.`, fsConstants.X_OK);
  } catch {
    return 'directory';
  }
  if (request.input !== null && error.path === request.input) return 'input';
  return error.syscall?.startsWith('spawn') === true ? 'command' : 'other';
}

function failed(id: number, request: StartRequest, error: NodeJS.ErrnoException): void {
  const step = failedStep(error, request);
  send(encodeFrame(FrameType.startFailed, id, [error.code ?? error.message, step]));
}

function exited(
  container: Container,
  code: number | null,
  signalName: NodeJS.Signals | null,
): void {
  const { id, pid } = container;
  running.delete(id);
  container.exit = [
    code === null ? '' : String(code),
    signalName === null ? '' : String(osConstants.signals[signalName]),
    String(Date.now()),
  ];
  // As in a container, nothing outlives the main process.
  killGroup(pid, osConstants.signals.SIGKILL);
  ended.set(id, pid);
  lookForStraysLater();
  clearTimeout(container.timer);
  // It is there at once, unless a process that escaped the kill holds the pipe.
  container.timer = setTimeout(() => {
    // After a blocked event loop timers run before reads: let it read what is there.
    setImmediate(() => {
      for (const pipe of container.pipes.keys()) pipe.close();
    });
  }, DRAIN_TIMEOUT_MS);
  if (container.isWatched) completeIfDone(container);
  else drain(container);
}

/** Reads what a young program has written; pipes that somebody still holds are read on. */
function drain(container: Container): void {
  for (const [pipe, stream] of container.pipes) {
    const isOver = pipe.drain((chunk) => send(encodeOutput(container.id, stream, chunk)));
    if (isOver) pipeClosed(container, pipe, true);
  }
  if (container.pipes.size > 0) readPipes(container);
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
  for (const [id, { pid }] of running) {
    killGroup(pid, osConstants.signals.SIGKILL);
    ended.set(id, pid);
  }
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
