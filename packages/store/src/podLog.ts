import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from './redisClient.ts';

/**
 * A pod's log is one Redis stream. An entry holds whole lines where that was possible, at most
 * 16 KiB. Its id is made by the writer: the ms in it never go back, and are never before `t`.
 */
export const LogField = {
  /** Container name; empty in the end marker. */
  container: 'c',
  /** One of {@link LogKind}. */
  kind: 's',
  /** When the first byte was read. ms since the epoch. */
  timeMs: 't',
  /** Which run of the container in its pod, from 1 on after its first restart; left out for the first one. */
  run: 'r',
  /** The bytes; for `dropped` their number in decimal; empty in the end marker. */
  data: 'd',
} as const;

/** What an entry of a log stream is. */
export const LogKind = {
  stdout: 'o',
  stderr: 'e',
  /** Output was dropped here, because it came faster than Redis took it. */
  dropped: 'd',
  /** The pod ended; the last entry. Missing when the worker died, or when nothing was written. */
  end: 'x',
} as const;

/** A line of a pod's log, or a part of one. */
export interface PodLogLine {
  /** Container it comes from. */
  readonly container: string;
  readonly stream: 'stdout' | 'stderr';
  /** When it was read from the program, to about 100 ms. ms since the epoch. */
  readonly timeMs: number;
  /**
   * The text with its newline. Without one it goes on in the next item of the stream: a line that
   * is very long, or was not complete when it was written. Empty where `droppedBytes` is set.
   */
  readonly text: string;
  /**
   * The same as the program wrote it, which need not be UTF-8. Of a character that is cut in two
   * between items each has its part, while `text` has it as a whole in the second.
   */
  readonly bytes: Buffer;
  /** How many bytes of the container's output were dropped at this point; 0 = none. */
  readonly droppedBytes: number;
}

/** What of a log to read. */
export interface ReadPodLogOptions {
  /** Go on until the pod ended. Default false. */
  readonly follow?: boolean | undefined;
  /** Begin with the last so many lines. An integer >= 0. Default: all that is kept. */
  readonly tailLines?: number | undefined;
  /** Begin with output of this time. ms since the epoch. */
  readonly sinceMs?: number | undefined;
  /** End after so many bytes of text. */
  readonly limitBytes?: number | undefined;
  /** Put the time before each line, in the format of kubectl. Default false. */
  readonly timestamps?: boolean | undefined;
  /** Only this container. */
  readonly container?: string | undefined;
  /** Which runs of a container to read: 0 is the first, n that after its n-th restart. Default: all. */
  readonly runs?: ((container: string, run: number) => boolean) | undefined;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Asked while following, when nothing came for a second: whether the pod has ended. Without it
   * only the end marker ends the iteration, and a pod that wrote nothing or lost its worker has none.
   */
  readonly hasEnded?: (() => Promise<boolean>) | undefined;
}

/** How long a follower waits for output before it asks whether the pod ended. */
const QUIET_MS = 1_000;
/** How long it waits for the last output once the pod has ended. */
const LAST_OUTPUT_MS = 500;
/** Entries per reply while following, so one reply stays below 1 MiB. */
const FOLLOW_ENTRY_COUNT = 64;
/** Errors in a row after which following gives up. ioredis itself repeats what a lost connection cut off. */
const MAX_FOLLOW_ERRORS = 5;

/**
 * Reads the log of a pod from its stream.
 *
 * @param redis - A connection; with `follow` one of its own, since it blocks, and on the signal it
 *   is left with a command under way.
 * @param key - The pod's stream, see podLogKey. One that does not exist is an empty log.
 */
export async function* readPodLog(
  redis: RedisClient,
  key: string,
  options: ReadPodLogOptions = {},
): AsyncGenerator<PodLogLine, void, undefined> {
  const budget = new ByteBudget(options.limitBytes);
  const decoder = new LogDecoder(options);
  // One reply: the tail a writer keeps bounds it.
  const kept = await redis.xrangeBuffer(key, '-', '+');
  const lines = decoder.decode(kept);
  yield* budget.spend(lastLines(lines, options.tailLines));
  if (options.follow !== true) return;
  while (!decoder.hasEnded && !budget.isSpent && options.signal?.aborted !== true) {
    let entries = await nextEntries(redis, key, decoder.lastId, QUIET_MS, options.signal);
    if (entries.length === 0 && (await options.hasEnded?.()) === true) {
      // The pod's end is reported apart from its log, whose rest may be a moment behind.
      entries = await nextEntries(redis, key, decoder.lastId, LAST_OUTPUT_MS, options.signal);
      if (entries.length === 0) return;
    }
    yield* budget.spend(decoder.decode(entries));
  }
}

/** An entry as Redis sends it. */
type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]];

/** Waits for entries after `lastId`; none when the time is over or the signal came. */
async function nextEntries(
  redis: RedisClient,
  key: string,
  lastId: string,
  blockMs: number,
  signal: AbortSignal | undefined,
): Promise<readonly RawEntry[]> {
  for (let errors = 0; ;) {
    const reply = redis.xreadBuffer(
      'COUNT',
      FOLLOW_ENTRY_COUNT,
      'BLOCK',
      blockMs,
      'STREAMS',
      key,
      lastId,
    );
    try {
      const streams = await orAborted(reply, signal);
      return streams?.[0]?.[1] ?? [];
    } catch (error) {
      errors += 1;
      if (errors > MAX_FOLLOW_ERRORS) throw error;
      await delay(100 * errors);
    }
  }
}

async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | null> {
  if (signal === undefined) return promise;
  // Left behind on an abort, it must not end the process when it fails.
  promise.catch(() => {});
  if (signal.aborted) return null;
  const aborted = Promise.withResolvers<null>();
  const onAbort = (): void => aborted.resolve(null);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A decoded item that knows whether a line begins with it. */
interface DecodedLine extends PodLogLine {
  readonly startsLine: boolean;
}

/** Turns entries into lines. */
class LogDecoder {
  /** Id of the last entry that was decoded. */
  lastId = '0-0';
  /** The end marker was among them. */
  hasEnded = false;
  readonly #options: ReadPodLogOptions;
  readonly #lanes = new Map<string, { decoder: StringDecoder; isInLine: boolean }>();

  constructor(options: ReadPodLogOptions) {
    this.#options = options;
  }

  decode(entries: readonly RawEntry[]): DecodedLine[] {
    return entries.flatMap((entry) => this.#decodeEntry(entry));
  }

  #decodeEntry([id, fields]: RawEntry): DecodedLine[] {
    this.lastId = id.toString();
    const values = new Map<string, Buffer>();
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const [name, value] = [fields[index], fields[index + 1]];
      if (name !== undefined && value !== undefined) values.set(name.toString(), value);
    }
    const text = (name: string): string => values.get(name)?.toString() ?? '';
    const container = text(LogField.container);
    const kind = text(LogField.kind);
    const timeMs = Number(text(LogField.timeMs));
    if (kind === LogKind.end) {
      this.hasEnded = true;
      return [];
    }
    const { container: wanted, runs, sinceMs } = this.#options;
    if (wanted !== undefined && container !== wanted) return [];
    if (runs !== undefined && !runs(container, Number(text(LogField.run)))) return [];
    if (sinceMs !== undefined && timeMs < sinceMs) return [];
    if (kind === LogKind.dropped) {
      const droppedBytes = Number(text(LogField.data));
      const nothing = { text: '', bytes: Buffer.alloc(0), startsLine: false };
      return [{ container, stream: 'stderr', timeMs, ...nothing, droppedBytes }];
    }
    if (kind !== LogKind.stdout && kind !== LogKind.stderr) return [];
    const stream = kind === LogKind.stdout ? 'stdout' : 'stderr';
    const lane = `${stream}/${text(LogField.run)}/${container}`;
    const data = values.get(LogField.data) ?? Buffer.alloc(0);
    return this.#split(lane, { container, stream, timeMs }, data);
  }

  #split(
    laneKey: string,
    { container, stream, timeMs }: Pick<PodLogLine, 'container' | 'stream' | 'timeMs'>,
    data: Buffer,
  ): DecodedLine[] {
    const lane = this.#lanes.get(laneKey) ?? {
      // Keeps the bytes of a character that was cut in two.
      decoder: new StringDecoder('utf8'),
      isInLine: false,
    };
    this.#lanes.set(laneKey, lane);
    const stamp = this.#options.timestamps === true ? `${formatLogTime(timeMs)} ` : '';
    return splitLines(data).map((piece) => {
      const startsLine = !lane.isInLine;
      lane.isInLine = piece.at(-1) !== NEWLINE;
      const decoded = lane.decoder.write(piece);
      const isStamped = startsLine && stamp !== '';
      const text = isStamped ? stamp + decoded : decoded;
      const bytes = isStamped ? Buffer.concat([Buffer.from(stamp), piece]) : piece;
      return { container, stream, timeMs, text, bytes, droppedBytes: 0, startsLine };
    });
  }
}

const NEWLINE = 0x0a;

/** Parts bytes after each newline; no part is empty. */
function splitLines(data: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let from = 0;
  while (from < data.length) {
    const newline = data.indexOf(NEWLINE, from);
    const to = newline < 0 ? data.length : newline + 1;
    lines.push(data.subarray(from, to));
    from = to;
  }
  return lines;
}

/** The items from the last `count` lines on. */
function lastLines(
  lines: readonly DecodedLine[],
  count: number | undefined,
): readonly DecodedLine[] {
  if (count === undefined) return lines;
  let missing = count;
  let from = lines.length;
  while (from > 0 && missing > 0) {
    from -= 1;
    if (lines[from]?.startsLine === true) missing -= 1;
  }
  return lines.slice(from);
}

/** Cuts off after a number of bytes. */
class ByteBudget {
  #leftBytes: number;

  constructor(limitBytes: number | undefined) {
    this.#leftBytes = limitBytes ?? Number.POSITIVE_INFINITY;
  }

  get isSpent(): boolean {
    return this.#leftBytes <= 0;
  }

  *spend(lines: readonly DecodedLine[]): Generator<PodLogLine, void, undefined> {
    for (const { startsLine: _, ...line } of lines) {
      if (this.isSpent) return;
      const left = this.#leftBytes;
      this.#leftBytes -= line.bytes.length;
      if (line.bytes.length <= left) yield line;
      else {
        const bytes = line.bytes.subarray(0, left);
        yield { ...line, bytes, text: bytes.toString('utf8') };
      }
    }
  }
}

/** RFC 3339 with nine digits, as kubelet and container runtimes write it. */
export function formatLogTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, -1)}000000Z`;
}
