import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import type { Drover, LogPiece, PodEnd } from '@drover/sdk/client';
import type { Job } from '@drover/shared';

import { badInput } from '../errors.ts';
import type { ListItem } from './listPlan.ts';
import { fileProblem } from './sources.ts';
import type { RunView } from './view.ts';

/** A run that ended. */
export interface EndedItem {
  readonly item: ListItem;
  readonly end: PodEnd;
}

/** Options of {@link ListPrinter}. */
export interface ListPrinterOptions {
  readonly drover: Drover;
  readonly job: Job;
  readonly view: RunView;
  /** In the order of the arguments, not as they end. */
  readonly keepsOrder: boolean;
  /** `lines`: another one prints it as it comes. */
  readonly output: 'grouped' | 'lines' | 'none';
  readonly tagOf: (item: ListItem) => string;
  /** Directory for the output of each run; null = none. */
  readonly resultsDir: string | null;
  /** Who else needs to know how much was written. */
  readonly countsBytes: boolean;
  /** Nobody else reads the logs: take those away that were printed. */
  readonly removesLogs: boolean;
}

/** Logs read at a time. */
const READ_PODS = 32;
/** Output that waits for its turn; what is more is read again when it comes. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

/** Prints the output of runs that ended, each as a whole, and keeps it in files where asked to. */
export class ListPrinter {
  readonly #options: ListPrinterOptions;
  /** With `keepsOrder`: those that wait for ones before them, by position. */
  readonly #waiting = new Map<number, { ended: EndedItem; pieces: LogPiece[] | null }>();
  /** Positions that nothing is waited for at. */
  readonly #skipped = new Set<number>();
  /** Printed, but their logs were not taken away yet. */
  readonly #printedLate: EndedItem[] = [];
  #next = 0;
  #heldBytes = 0;

  constructor(options: ListPrinterOptions) {
    this.#options = options;
  }

  /**
   * Takes runs that ended and prints those whose turn it is.
   *
   * @param ended - With their positions among the items that are run.
   * @returns How many bytes each wrote to standard output.
   */
  async take(ended: readonly EndedItem[]): Promise<number[]> {
    const { output, resultsDir, countsBytes } = this.#options;
    const sizes: number[] = [];
    const reads = output === 'grouped' || resultsDir !== null || countsBytes;
    for (let from = 0; from < ended.length; from += READ_PODS) {
      const part = ended.slice(from, from + READ_PODS);
      const logs = reads ? await this.#read(part) : part.map(() => []);
      for (const [i, one] of part.entries()) {
        const pieces = logs[i] ?? [];
        sizes.push(bytesOf(pieces, 'stdout'));
        if (resultsDir !== null) saveResult(resultsDir, one.item, pieces);
        if (output === 'grouped') await this.#takeOne(one, pieces);
      }
      await this.#forget(part.filter(({ end }) => !this.#waiting.has(end.index)));
    }
    await this.#forget(this.#printedLate.splice(0));
    return sizes;
  }

  /** Prints what still waits for runs that will not end. */
  async close(): Promise<void> {
    const rest = [...this.#waiting.keys()].toSorted((a, b) => a - b);
    for (const position of rest) await this.#printWaiting(position);
    await this.#forget(this.#printedLate.splice(0));
  }

  /** A run that was not started: nothing waits for it. */
  async skip(index: number): Promise<void> {
    this.#skipped.add(index);
    await this.#printNext();
  }

  async #takeOne(ended: EndedItem, pieces: LogPiece[]): Promise<void> {
    const position = ended.end.index;
    if (!this.#options.keepsOrder || position === this.#next) {
      this.#print(ended, pieces);
      this.#next = position + 1;
      await this.#printNext();
      return;
    }
    const size = bytesOf(pieces);
    const isKept = this.#heldBytes + size <= MAX_HELD_BYTES;
    if (isKept) this.#heldBytes += size;
    this.#waiting.set(position, { ended, pieces: isKept ? pieces : null });
  }

  async #printNext(): Promise<void> {
    if (!this.#options.keepsOrder) return;
    while (this.#waiting.has(this.#next) || this.#skipped.has(this.#next)) {
      await this.#printWaiting(this.#next);
      this.#skipped.delete(this.#next);
      this.#next += 1;
    }
  }

  async #printWaiting(position: number): Promise<void> {
    const waiting = this.#waiting.get(position);
    if (waiting === undefined) return;
    this.#waiting.delete(position);
    const { ended, pieces } = waiting;
    if (pieces !== null) this.#heldBytes -= bytesOf(pieces);
    this.#print(ended, pieces ?? (await this.#read([ended]))[0] ?? []);
    this.#printedLate.push(ended);
  }

  async #read(part: readonly EndedItem[]): Promise<LogPiece[][]> {
    const { drover, job } = this.#options;
    const withLog = part.filter(({ end }) => end.hasLog).map(({ end }) => end.podNumber);
    if (withLog.length === 0) return part.map(() => []);
    const logs = await drover.pods.outputs(job, withLog);
    const byNumber = new Map(withLog.map((podNumber, i) => [podNumber, logs[i] ?? []]));
    return part.map(({ end }) => byNumber.get(end.podNumber) ?? []);
  }

  async #forget(part: readonly EndedItem[]): Promise<void> {
    const { drover, job, removesLogs } = this.#options;
    if (!removesLogs) return;
    const withLog = part.filter(({ end }) => end.hasLog).map(({ end }) => end.podNumber);
    if (withLog.length > 0) await drover.pods.removeOutputs(job, withLog);
  }

  #print({ item }: EndedItem, pieces: readonly LogPiece[]): void {
    const { view, tagOf } = this.#options;
    const tag = Buffer.from(tagOf(item));
    for (const stream of ['stdout', 'stderr'] as const) {
      const data = pieces.flatMap((piece) => (piece.stream === stream ? [piece.data] : []));
      if (data.length > 0) view.output(stream, tagLines(Buffer.concat(data), tag));
    }
    for (const piece of pieces) {
      if (piece.stream !== 'dropped') continue;
      view.note(`[${piece.bytes} bytes of the output of number ${item.seq} were dropped]`);
    }
  }
}

/** Puts a tag before each line. */
export function tagLines(text: Buffer, tag: Buffer): Buffer {
  if (tag.length === 0) return text;
  const parts: Buffer[] = [];
  for (let from = 0; from < text.length;) {
    const newline = text.indexOf(0x0a, from);
    const to = newline === -1 ? text.length : newline + 1;
    parts.push(tag, text.subarray(from, to));
    from = to;
  }
  return Buffer.concat(parts);
}

function bytesOf(pieces: readonly LogPiece[], stream?: 'stdout'): number {
  let size = 0;
  for (const piece of pieces) {
    if (piece.stream === 'dropped' || (stream !== undefined && piece.stream !== stream)) continue;
    size += piece.data.length;
  }
  return size;
}

/**
 * Makes a folder with those above it. (Node's own `recursive` never ends where a folder can't be
 * made although the one above it is there, as in /proc.)
 */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    makeFolder(dirname(path));
    mkdirSync(path);
  }
}

/** Makes the directory of `--results`. @throws CliError when that can't be done. */
export function makeResultsDir(path: string): void {
  try {
    makeFolder(path);
  } catch (error) {
    throw badInput(`--results ${path}: ${fileProblem(error)}`);
  }
}

/** Longest name of a file on common file systems, in bytes. */
const MAX_NAME_BYTES = 255;

/** Writes `DIR/1/VALUE/2/VALUE/stdout`, `stderr` and `seq`, as GNU parallel lays them out. */
function saveResult(dir: string, { row, seq }: ListItem, pieces: readonly LogPiece[]): void {
  const folder = join(dir, ...row.flatMap((value, i) => [String(i + 1), fileName(value)]));
  try {
    makeFolder(folder);
    for (const stream of ['stdout', 'stderr'] as const) {
      const data = pieces.flatMap((piece) => (piece.stream === stream ? [piece.data] : []));
      writeFileSync(join(folder, stream), Buffer.concat(data));
    }
    writeFileSync(join(folder, 'seq'), String(seq));
  } catch (error) {
    throw badInput(`--results ${dir}: ${fileProblem(error)}`);
  }
}

/** A value as a name within a folder: no separators, never the folder itself or its parent. */
function fileName(value: string): string {
  const name = value.replaceAll('\\', '\\\\').replaceAll('/', '\\_').replaceAll('\t', '\\t');
  const safe = name === '' || name === '.' || name === '..' ? `\\${name}` : name;
  return Buffer.from(safe).subarray(0, MAX_NAME_BYTES).toString().replace(/�$/, '');
}
