import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

import { badInput } from '../errors.ts';
import { fileProblem } from './sources.ts';

/** How a run of a command ended, as a line of a job log. The columns are those of GNU parallel. */
export interface JoblogEntry {
  /** Number of the argument, from 1. */
  readonly seq: number;
  /** `:` for this machine, else the node's name. */
  readonly host: string;
  readonly startMs: number;
  readonly runtimeMs: number;
  /** Bytes on standard output. */
  readonly receivedBytes: number;
  /** -1 after a timeout; 0 when a signal ended it. */
  readonly exitValue: number;
  /** Number of the signal that ended it; 0 = none. */
  readonly signal: number;
  readonly command: string;
}

const COLUMNS = [
  'Seq',
  'Host',
  'Starttime',
  'JobRuntime',
  'Send',
  'Receive',
  'Exitval',
  'Signal',
  'Command',
] as const;
const HEADER = COLUMNS.join('\t');

/** What a former run did with an argument. */
export interface FormerRun {
  readonly hasFailed: boolean;
  readonly command: string;
  /** Of the log, from 1. */
  readonly line: number;
}

/** A job log that was read. */
export interface Joblog {
  /** By number; the last line of a number counts. */
  readonly runs: ReadonlyMap<number, FormerRun>;
  /** Bytes up to the last whole line: what follows was cut off by a crash. */
  readonly wholeBytes: number;
}

/**
 * Reads a job log, of ours or of GNU parallel.
 *
 * @returns null when there is no such file.
 * @throws CliError when it can't be read or is none.
 */
export function readJoblog(path: string): Joblog | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw badInput(`--joblog ${path}: ${fileProblem(error)}`);
  }
  const wholeBytes = bytes.lastIndexOf(0x0a) + 1;
  const lines = bytes.subarray(0, wholeBytes).toString().split('\n').slice(0, -1);
  const runs = new Map<number, FormerRun>();
  if (bytes.length === 0) return { runs, wholeBytes };
  if (lines[0] !== HEADER) {
    throw badInput(`--joblog ${path}: this is no job log`, [
      `  its first line should be the columns ${COLUMNS.join(' ')}, separated by tabs`,
    ]);
  }
  for (const [i, line] of lines.entries()) {
    if (i === 0) continue;
    const fields = line.split('\t');
    const [seq = '', , , , , , exitValue = '', signal = '', ...command] = fields;
    if (!/^[1-9]\d*$/.test(seq) || !/^-?\d+$/.test(exitValue) || !/^\d+$/.test(signal)) {
      throw badInput(`--joblog ${path}: line ${i + 1} is no line of a job log`);
    }
    runs.set(Number(seq), {
      hasFailed: exitValue !== '0' || signal !== '0',
      command: command.join('\t').replaceAll('\0', '\n'),
      line: i + 1,
    });
  }
  return { runs, wholeBytes };
}

/** Writes a job log, line by line as programs end, so that it is there after a crash. */
export class JoblogWriter {
  readonly #file: number;
  #position: number;

  /**
   * @param former - The log that is gone on with; null: a new one.
   * @throws CliError when the file can't be written.
   */
  constructor(path: string, former: Joblog | null) {
    try {
      this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT);
    } catch (error) {
      throw badInput(`--joblog ${path}: ${fileProblem(error)}`);
    }
    this.#position = former?.wholeBytes ?? 0;
  }

  /** From now on it is the log of this run: an older one, or a line that was cut off, is gone. */
  begin(): void {
    ftruncateSync(this.#file, this.#position);
    if (this.#position === 0) this.#write(`${HEADER}\n`);
  }

  /** Adds lines, in one write. */
  write(entries: readonly JoblogEntry[]): void {
    if (entries.length > 0) this.#write(entries.map(formatEntry).join(''));
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(text: string): void {
    this.#position += writeSync(this.#file, Buffer.from(text), 0, null, this.#position);
  }
}

function formatEntry(entry: JoblogEntry): string {
  const fields = [
    entry.seq,
    entry.host,
    (entry.startMs / 1000).toFixed(3),
    (entry.runtimeMs / 1000).toFixed(3).padStart(10),
    0,
    entry.receivedBytes,
    entry.exitValue,
    entry.signal,
    // A line of the log is one line, as in GNU parallel.
    entry.command.replaceAll('\n', '\0'),
  ];
  return `${fields.join('\t')}\n`;
}
