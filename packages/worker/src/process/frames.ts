/**
 * The wire between the worker and its process helper: docs/design/0002-process-helper.md.
 *
 * A frame is a 32-bit length of what follows, one byte of type, the 32-bit id of the container
 * it speaks of (0 for none), and a payload of UTF-8 strings separated by NUL. POSIX strings hold
 * no NUL, so nothing needs escaping, and the native helper points argv into the frame itself.
 * Integers are little-endian.
 */

/** Version of the protocol, sent by the helper in its first frame. */
export const PROTOCOL_VERSION = '6';

/** Types of frames; below 16 from the worker, from 16 on from the helper. */
export const FrameType = {
  /** Start a program. Payload: workingDir, input or '', its user or '' (uid, gid and groups), its cgroup or '', number of mounts, (source, target, `ro` or `rw`, with `!` when required)..., argc, args..., NAME=value... */
  start: 1,
  /** Send a signal to the process group. Payload: signal number. */
  signal: 2,
  /** The helper can be used. Payload: protocol version. */
  ready: 16,
  /** The program runs. Payload: pid, time in ms since the epoch, why there are no mounts or ''. */
  started: 17,
  /** The program could not be started. Payload: errno name, what failed ({@link StartStep}). */
  startFailed: 18,
  /** The main process ended, and all its output was sent. Payload: exit code or '', signal number or '', time in ms. */
  exited: 19,
  /** Output. Payload: one byte, 1 for stdout or 2 for stderr, then the bytes as they are. */
  output: 20,
  /** The program ran and ended without output, before there was word of its start. Payload: that of `started`, then that of `exited`. */
  ran: 21,
} as const;

/** Which step of a start failed: changing directory, executing the command, a required mount, opening its input, becoming its user, entering its cgroup, or anything else. */
export type StartStep = 'directory' | 'command' | 'mounts' | 'input' | 'user' | 'cgroup' | 'other';

/** One decoded frame. */
export interface Frame {
  /** One of {@link FrameType}, or a number from a later version. */
  readonly type: number;
  /** Container the frame speaks of; 0 = none. */
  readonly id: number;
  /** Payload, split at NUL. */
  readonly fields: readonly string[];
}

/** Which output of a program. */
export type OutputStream = 'stdout' | 'stderr';

/** A directory or file that a program sees at another place, too. */
export interface ProcessMount {
  /** What is mounted: an absolute path. */
  readonly source: string;
  /** Where: an absolute path, which need not exist. */
  readonly target: string;
  /** The program can only read it. */
  readonly readOnly: boolean;
  /** The program is not run without it. Default: false, and it is run without any. */
  readonly isRequired?: boolean;
}

/** Who a program runs as: numbers of a user, its group and its further groups. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** What a start frame asks for. */
export interface StartRequest {
  /** Directory the program starts in. */
  readonly workingDir: string;
  /** File that is opened as its standard input: an absolute path; null = there is nothing to read. */
  readonly input: string | null;
  /** Made in a mount namespace of this program alone: all of them or, where that can not be done and none is required, none. */
  readonly mounts: readonly ProcessMount[];
  /** Who it runs as; null = as the worker. Takes a worker that runs as root. */
  readonly user: ProcessUser | null;
  /** Directory of the cgroup that it runs in from its first instruction on; null = that of the helper. Takes the native helper. */
  readonly cgroup: string | null;
  /** Program and arguments, at least one. */
  readonly argv: readonly string[];
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>;
}

/** Takes what comes over the wire, in its order. */
export interface FrameSink {
  /** A frame that is not output. */
  onFrame(frame: Frame): void;
  /** Output of a container; the bytes are valid only during the call. */
  onOutput(id: number, stream: OutputStream, bytes: Buffer): void;
}

/** Bytes of a frame before its payload: length, type, id. */
const HEADER_BYTES = 9;
/** Largest frame accepted; Linux refuses argument lists above 6 MiB anyway. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/**
 * Encodes a frame.
 *
 * @throws RangeError when a field contains NUL or the frame would be too long.
 */
export function encodeFrame(type: number, id: number, fields: readonly string[]): Buffer {
  checkFields(fields);
  const payload = fields.join('\0');
  const frame = Buffer.allocUnsafe(checkSize(HEADER_BYTES + Buffer.byteLength(payload)));
  writeHeader(frame, type, id);
  frame.write(payload, HEADER_BYTES);
  return frame;
}

function checkFields(fields: readonly string[]): void {
  for (const field of fields) {
    if (!field.includes('\0')) continue;
    throw new RangeError('a string that is given to a program contains a NUL character');
  }
}

function checkSize(frameBytes: number): number {
  if (frameBytes <= MAX_FRAME_BYTES) return frameBytes;
  throw new RangeError(`command and environment are too long (${frameBytes - HEADER_BYTES} bytes)`);
}

/** Encodes output. */
export function encodeOutput(id: number, stream: OutputStream, bytes: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + 1 + bytes.length);
  writeHeader(frame, FrameType.output, id);
  frame.writeUInt8(stream === 'stdout' ? 1 : 2, HEADER_BYTES);
  bytes.copy(frame, HEADER_BYTES + 1);
  return frame;
}

function writeHeader(frame: Buffer, type: number, id: number): void {
  frame.writeUInt32LE(frame.length - 4, 0);
  frame.writeUInt8(type, 4);
  frame.writeUInt32LE(id, 5);
}

/**
 * Encodes start requests that differ in but a few variables: what they have in common only once.
 * {@link decodeStart} is the inverse.
 */
export class StartEncoder {
  /** A frame without the variables of a program's own. */
  readonly #common: Buffer;

  /** Throws as {@link encodeFrame}. */
  constructor(request: StartRequest) {
    const { workingDir, input, user, cgroup, mounts, argv, env } = request;
    const fields = [workingDir, input ?? '', userText(user), cgroup ?? '', String(mounts.length)];
    for (const { source, target, readOnly, isRequired = false } of mounts) {
      fields.push(source, target, `${readOnly ? 'ro' : 'rw'}${isRequired ? '!' : ''}`);
    }
    fields.push(String(argv.length), ...argv);
    for (const name in env) fields.push(`${name}=${env[name]}`);
    this.#common = encodeFrame(FrameType.start, 0, fields);
  }

  /**
   * The request for one program.
   *
   * @param own - Variables beside those of the request, each `NAME=value`.
   * @throws RangeError when one contains NUL or the frame would be too long.
   */
  encode(id: number, own: readonly string[]): Buffer {
    checkFields(own);
    const common = this.#common;
    // A string is separated from the one before it, also from an empty last one.
    const text = own.length === 0 ? '' : `\0${own.join('\0')}`;
    const frame = Buffer.allocUnsafe(checkSize(common.length + Buffer.byteLength(text)));
    common.copy(frame);
    frame.write(text, common.length);
    writeHeader(frame, FrameType.start, id);
    return frame;
  }
}

/** Reads a start request out of the fields of its frame. */
export function decodeStart(fields: readonly string[]): StartRequest {
  const rest = [...fields];
  const next = (): string => rest.shift() ?? '';
  const workingDir = next();
  const input = next();
  const user = next();
  const cgroup = next();
  const mounts = Array.from({ length: Number(next()) }, () => {
    const [source, target, mode] = [next(), next(), next()];
    const mount = { source, target, readOnly: mode.startsWith('ro') };
    return mode.endsWith('!') ? { ...mount, isRequired: true } : mount;
  });
  const argv = rest.splice(0, Number(next()));
  const env: Record<string, string> = Object.create(null);
  for (const entry of rest) {
    const equals = entry.indexOf('=');
    env[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  return {
    workingDir,
    input: input === '' ? null : input,
    user: readUser(user),
    cgroup: cgroup === '' ? null : cgroup,
    mounts,
    argv,
    env,
  };
}

/** `uid gid`, and the numbers of further groups. */
function userText(user: ProcessUser | null): string {
  return user === null ? '' : [user.uid, user.gid, ...user.groups].join(' ');
}

function readUser(text: string): ProcessUser | null {
  if (text === '') return null;
  const [uid = 0, gid = 0, ...groups] = text.split(' ').map(Number);
  return { uid, gid, groups };
}

/**
 * Cuts a byte stream into frames. Output is handed on as it comes, also before its frame is
 * complete, so a flood is not copied together.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** Beginning of a frame that is not complete. */
  #rest: Buffer | null = null;
  /** Bytes of an output frame that are yet to come, and whose they are. */
  #outputLeft = 0;
  #outputId = 0;
  #outputStream: OutputStream = 'stdout';

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /**
   * Takes the next bytes and hands on the frames they complete.
   *
   * @throws Error when the stream is not one of frames (the other side is broken).
   */
  push(chunk: Buffer): void {
    let at = 0;
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.#outputLeft > 0) at = this.#handOnOutput(bytes, 0);
    while (bytes.length - at >= HEADER_BYTES) {
      const size = 4 + bytes.readUInt32LE(at);
      if (size < HEADER_BYTES || size > MAX_FRAME_BYTES) {
        throw new Error(`process helper protocol: a frame of ${size} bytes`);
      }
      if (bytes.readUInt8(at + 4) === FrameType.output) {
        if (bytes.length - at === HEADER_BYTES) break;
        this.#outputId = bytes.readUInt32LE(at + 5);
        this.#outputStream = bytes.readUInt8(at + HEADER_BYTES) === 1 ? 'stdout' : 'stderr';
        this.#outputLeft = size - HEADER_BYTES - 1;
        at = this.#handOnOutput(bytes, at + HEADER_BYTES + 1);
      } else {
        if (bytes.length - at < size) break;
        this.#handOnFrame(bytes, at, at + size);
        at += size;
      }
    }
    // A copy of what is left, since it may be a few bytes of a large buffer.
    this.#rest = at === bytes.length ? null : Buffer.from(bytes.subarray(at));
  }

  /** Hands on what is there of an output frame; returns where it ends. */
  #handOnOutput(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#outputLeft);
    this.#outputLeft -= end - from;
    if (end > from) {
      this.#sink.onOutput(this.#outputId, this.#outputStream, bytes.subarray(from, end));
    }
    return end;
  }

  #handOnFrame(bytes: Buffer, start: number, end: number): void {
    const type = bytes.readUInt8(start + 4);
    const id = bytes.readUInt32LE(start + 5);
    const fields = bytes.toString('utf8', start + HEADER_BYTES, end).split('\0');
    this.#sink.onFrame({ type, id, fields });
  }
}
