/**
 * The wire between the worker and its process helper: docs/design/0002-process-helper.md.
 *
 * A frame is a 32-bit length of what follows, one byte of type, the 32-bit id of the container
 * it speaks of (0 for none), and a payload of UTF-8 strings separated by NUL. POSIX strings hold
 * no NUL, so nothing needs escaping, and a native helper can point argv into the frame itself.
 * Integers are little-endian.
 */

/** Version of the protocol, sent by the helper in its first frame. */
export const PROTOCOL_VERSION = '1';

/** Types of frames; below 16 from the worker, from 16 on from the helper. */
export const FrameType = {
  /** Start a program. Payload: workingDir, stdout path, stderr path, argc, args..., NAME=value... */
  start: 1,
  /** Send a signal to the process group. Payload: signal number. */
  signal: 2,
  /** The helper can be used. Payload: protocol version. */
  ready: 16,
  /** The program runs. Payload: pid, time in ms since the epoch. */
  started: 17,
  /** The program could not be started. Payload: errno name, what failed ({@link StartStep}). */
  startFailed: 18,
  /** The main process ended. Payload: exit code or '', signal number or '', time in ms. */
  exited: 19,
} as const;

/** Which step of a start failed: changing directory, executing the command, or anything else. */
export type StartStep = 'directory' | 'command' | 'other';

/** One decoded frame. */
export interface Frame {
  /** One of {@link FrameType}, or a number from a later version. */
  readonly type: number;
  /** Container the frame speaks of; 0 = none. */
  readonly id: number;
  /** Payload, split at NUL; empty for an empty payload. */
  readonly fields: readonly string[];
}

/** A directory or file that a program sees at another place, too. */
export interface ProcessMount {
  /** What is mounted: an absolute path. */
  readonly source: string;
  /** Where: an absolute path, which need not exist. */
  readonly target: string;
  /** The program can only read it. */
  readonly readOnly: boolean;
}

/** What a start frame asks for. */
export interface StartRequest {
  /** Directory the program starts in. */
  readonly workingDir: string;
  /** FIFO the program's stdout is; its reader is open already. */
  readonly stdoutPath: string;
  /** FIFO the program's stderr is; its reader is open already. */
  readonly stderrPath: string;
  /** Program and arguments, at least one. */
  readonly argv: readonly string[];
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>;
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
  if (fields.some((field) => field.includes('\0'))) {
    throw new RangeError('a string that is given to a program contains a NUL character');
  }
  const payload = fields.join('\0');
  const payloadBytes = Buffer.byteLength(payload);
  if (payloadBytes + HEADER_BYTES > MAX_FRAME_BYTES) {
    throw new RangeError(`command and environment are too long (${payloadBytes} bytes)`);
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payloadBytes);
  frame.writeUInt32LE(HEADER_BYTES - 4 + payloadBytes, 0);
  frame.writeUInt8(type, 4);
  frame.writeUInt32LE(id, 5);
  frame.write(payload, HEADER_BYTES);
  return frame;
}

/** Encodes a start request; {@link decodeStart} is its inverse. Throws as {@link encodeFrame}. */
export function encodeStart(id: number, request: StartRequest): Buffer {
  return encodeFrame(FrameType.start, id, [
    request.workingDir,
    request.stdoutPath,
    request.stderrPath,
    String(request.argv.length),
    ...request.argv,
    ...Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
  ]);
}

/** Reads a start request out of the fields of its frame. */
export function decodeStart(fields: readonly string[]): StartRequest {
  const [workingDir = '', stdoutPath = '', stderrPath = '', argc = '0', ...rest] = fields;
  const env: Record<string, string> = Object.create(null);
  for (const entry of rest.slice(Number(argc))) {
    const equals = entry.indexOf('=');
    env[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  return { workingDir, stdoutPath, stderrPath, argv: rest.slice(0, Number(argc)), env };
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * Takes the next bytes and returns the frames they complete.
   *
   * @throws Error when the stream is not one of frames (the other side is broken).
   */
  push(chunk: Buffer): Frame[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (bytes.length >= 4) {
      const end = 4 + bytes.readUInt32LE(0);
      if (end < HEADER_BYTES || end > MAX_FRAME_BYTES) {
        throw new Error(`process helper protocol: a frame of ${end} bytes`);
      }
      if (bytes.length < end) break;
      frames.push({
        type: bytes.readUInt8(4),
        id: bytes.readUInt32LE(5),
        fields: end === HEADER_BYTES ? [] : bytes.toString('utf8', HEADER_BYTES, end).split('\0'),
      });
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    return frames;
  }
}
