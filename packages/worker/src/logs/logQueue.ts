import { LogKind } from '@drover/store';

/** What an entry costs beyond its data, roughly, so that many small ones are bounded too. */
export const ENTRY_OVERHEAD_BYTES = 64;
/** Largest entry. */
const MAX_ENTRY_BYTES = 16 * 1024;
/** Buffers kept for the next segments, so that a flood allocates nothing. */
const MAX_SPARE_COUNT = 4;
const NEWLINE = 0x0a;

/** An entry for the stream. */
export interface LogEntry {
  /** Container name. */
  readonly container: string;
  /** One of LogKind. */
  readonly kind: string;
  /** Run of the container in its pod: 0, and one more with each restart. */
  readonly run: number;
  /** When its first byte came. ms since the epoch. */
  readonly timeMs: number;
  /** The bytes. */
  readonly data: Buffer;
}

/** What an entry counts against the bound of its container. */
export function entryBytes(entry: LogEntry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** A growing entry. */
class Segment {
  readonly container: string;
  readonly kind: string;
  readonly run: number;
  readonly timeMs: number;
  size = 0;
  buffer: Buffer;

  constructor({ container, kind, run }: Lane, timeMs: number, buffer: Buffer) {
    this.container = container;
    this.kind = kind;
    this.run = run;
    this.timeMs = timeMs;
    this.buffer = buffer;
  }

  append(bytes: Buffer): void {
    const size = this.size + bytes.length;
    if (size > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, size, 2 * this.buffer.length));
      this.buffer.copy(grown, 0, 0, this.size);
      this.buffer = grown;
    }
    bytes.copy(this.buffer, this.size);
    this.size = size;
  }
}

/** One output of one container. */
interface Lane {
  readonly container: string;
  readonly kind: string;
  /** As in {@link LogEntry}. */
  run: number;
  /** A line that is not complete, or null. */
  partial: Segment | null;
  /** The partial line was here at the last take already. */
  isHeld: boolean;
}

/**
 * Output that waits to be written: cut into entries, lines whole where possible, in order, and
 * bounded per container. When there is more, the oldest goes and is counted.
 */
export class LogQueue {
  readonly #tailBytes: number;
  readonly #maxEntryBytes: number;
  readonly #mergeMs: number;
  readonly #lanes = new Map<string, Lane>();
  readonly #queuedBytes = new Map<string, number>();
  readonly #droppedBytes = new Map<string, number>();
  readonly #runs = new Map<string, number>();
  #queue: Segment[] = [];
  #spare: Buffer[] = [];

  /**
   * @param tailBytes - Most bytes kept per container, overheads included.
   * @param mergeMs - Output within this time may share an entry, and its time.
   */
  constructor(tailBytes: number, mergeMs: number) {
    this.#tailBytes = tailBytes;
    this.#maxEntryBytes = Math.min(MAX_ENTRY_BYTES, Math.ceil(tailBytes / 4));
    this.#mergeMs = mergeMs;
  }

  /** Nothing waits, not even a part of a line. */
  get isEmpty(): boolean {
    return this.#queue.length === 0 && this.#lanes.values().every((lane) => lane.partial === null);
  }

  /** Bytes that wait, of all containers. */
  get sizeBytes(): number {
    const partials = this.#lanes.values().map((lane) => lane.partial?.size ?? 0);
    const queued = this.#queue.values().map((segment) => segment.size);
    return [...partials, ...queued].reduce((sum, size) => sum + size, 0);
  }

  /** A container is started again: what it writes from now on is of this run. */
  beginRun(container: string, run: number): void {
    this.#runs.set(container, run);
    for (const lane of this.#lanes.values()) {
      if (lane.container !== container) continue;
      this.#endPartial(lane);
      lane.run = run;
    }
  }

  /** Takes output in; the bytes are copied. */
  push(container: string, stream: 'stdout' | 'stderr', chunk: Buffer, timeMs: number): void {
    const lane = this.#lane(container, LogKind[stream]);
    let from = 0;
    if (lane.partial !== null) {
      // The rest of the line that is under way, so that only one line is copied twice.
      from = chunk.indexOf(NEWLINE) + 1 || chunk.length;
      this.#extendPartial(lane, chunk.subarray(0, from), timeMs);
      if (chunk[from - 1] === NEWLINE) this.#endPartial(lane);
    }
    const end = Math.max(from, chunk.lastIndexOf(NEWLINE) + 1);
    this.#append(lane, chunk.subarray(from, end), timeMs);
    if (end < chunk.length) this.#extendPartial(lane, chunk.subarray(end), timeMs);
  }

  /**
   * Takes entries out. The part of a line stays for one more time, since the rest may come,
   * unless `isLast`.
   */
  take(isLast: boolean): LogEntry[] {
    for (const lane of this.#lanes.values()) {
      if (lane.partial === null) continue;
      if (lane.isHeld || isLast) this.#endPartial(lane);
      else lane.isHeld = true;
    }
    const first = this.#queue[0];
    const dropped = [...this.#droppedBytes].map(([container, bytes]) => ({
      container,
      kind: LogKind.dropped,
      run: first?.run ?? 0,
      timeMs: first?.timeMs ?? 0,
      data: Buffer.from(String(bytes)),
    }));
    const entries = this.#queue.map(({ container, kind, run, timeMs, buffer, size }) => ({
      container,
      kind,
      run,
      timeMs,
      data: buffer.subarray(0, size),
    }));
    this.#queue = [];
    this.#spare = [];
    this.#queuedBytes.clear();
    this.#droppedBytes.clear();
    return [...dropped, ...entries];
  }

  #lane(container: string, kind: string): Lane {
    const key = `${kind}${container}`;
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const run = this.#runs.get(container) ?? 0;
    const lane = { container, kind, run, partial: null, isHeld: false };
    this.#lanes.set(key, lane);
    return lane;
  }

  #extendPartial(lane: Lane, bytes: Buffer, timeMs: number): void {
    let from = 0;
    while (from < bytes.length) {
      if (lane.partial === null) {
        lane.partial = this.#segment(lane, timeMs);
        lane.isHeld = false;
      }
      const room = this.#maxEntryBytes - lane.partial.size;
      lane.partial.append(bytes.subarray(from, from + room));
      from += room;
      // Too long for one entry: the line is broken here.
      if (lane.partial.size >= this.#maxEntryBytes) this.#endPartial(lane);
    }
  }

  #endPartial(lane: Lane): void {
    const { partial } = lane;
    if (partial === null) return;
    lane.partial = null;
    const last = this.#queue.at(-1);
    if (last !== undefined && this.#mayGrow(last, lane, partial.timeMs, partial.size)) {
      last.append(partial.buffer.subarray(0, partial.size));
      this.#count(lane.container, partial.size);
      this.#recycle(partial.buffer);
    } else {
      this.#queue.push(partial);
      this.#count(lane.container, partial.size + ENTRY_OVERHEAD_BYTES);
    }
  }

  /** Appends whole lines. */
  #append(lane: Lane, lines: Buffer, timeMs: number): void {
    let from = 0;
    while (from < lines.length) {
      const last = this.#queue.at(-1);
      const canGrow = last !== undefined && this.#mayGrow(last, lane, timeMs, 1);
      const room = this.#maxEntryBytes - (canGrow ? last.size : 0);
      const size = wholeLinesBytes(lines, from, room);
      if (canGrow && size > 0) {
        last.append(lines.subarray(from, from + size));
        this.#count(lane.container, size);
        from += size;
        continue;
      }
      const segment = this.#segment(lane, timeMs);
      // A line longer than an entry is broken.
      const take = wholeLinesBytes(lines, from, this.#maxEntryBytes) || this.#maxEntryBytes;
      segment.append(lines.subarray(from, from + take));
      this.#queue.push(segment);
      this.#count(lane.container, segment.size + ENTRY_OVERHEAD_BYTES);
      from += segment.size;
    }
  }

  #mayGrow(segment: Segment, lane: Lane, timeMs: number, byBytes: number): boolean {
    return (
      segment.container === lane.container &&
      segment.kind === lane.kind &&
      segment.run === lane.run &&
      segment.size + byBytes <= this.#maxEntryBytes &&
      timeMs - segment.timeMs <= this.#mergeMs
    );
  }

  #segment(lane: Lane, timeMs: number): Segment {
    const buffer = this.#spare.pop() ?? Buffer.alloc(0);
    return new Segment(lane, timeMs, buffer);
  }

  #recycle(buffer: Buffer): void {
    if (this.#spare.length < MAX_SPARE_COUNT) this.#spare.push(buffer);
  }

  /** Counts what was queued and drops the oldest of the container while there is too much. */
  #count(container: string, bytes: number): void {
    let queued = (this.#queuedBytes.get(container) ?? 0) + bytes;
    while (queued > this.#tailBytes) {
      const oldest = this.#queue.findIndex((segment) => segment.container === container);
      const [segment] = oldest < 0 ? [] : this.#queue.splice(oldest, 1);
      if (segment === undefined) break;
      queued -= segment.size + ENTRY_OVERHEAD_BYTES;
      this.#droppedBytes.set(container, (this.#droppedBytes.get(container) ?? 0) + segment.size);
      this.#recycle(segment.buffer);
    }
    this.#queuedBytes.set(container, queued);
  }
}

/** How many bytes from `from` on, at most `room`, end with a newline; 0 = none. */
function wholeLinesBytes(lines: Buffer, from: number, room: number): number {
  if (lines.length - from <= room) return lines.length - from;
  const newline = lines.lastIndexOf(NEWLINE, from + room - 1);
  return newline < from ? 0 : newline + 1 - from;
}
