import { createReadStream, statSync } from 'node:fs';
import { access, constants, glob, stat } from 'node:fs/promises';

import { badInput } from '../errors.ts';
import { fileProblem } from '../run/sources.ts';

/** Something that is read line by line. */
export interface LineSource {
  /** As it is called in messages. */
  readonly name: string;
  /** Null: it can't be known. */
  readonly sizeBytes: number | null;
  /** It can be read as often as one likes; else only once, and it may come slowly. */
  readonly isFile: boolean;
  /** @param signal - Ends it, wherever it is. */
  open(signal: AbortSignal): AsyncIterable<Buffer>;
}

const CHUNK_BYTES = 256 * 1024;

/**
 * Finds what the arguments of `enqueue` name; `-` is standard input.
 *
 * @throws CliError for all that can't be read, at once.
 */
export async function findLineSources(paths: readonly string[]): Promise<LineSource[]> {
  const problems: string[] = [];
  if (paths.filter((path) => path === '-').length > 1) {
    problems.push('standard input can be read only once: `-` is there twice');
  }
  const sources: LineSource[] = [];
  for (const path of paths) {
    try {
      sources.push(path === '-' ? standardInput() : await findFile(path));
    } catch (error) {
      problems.push(`${path}: can't be read: ${fileProblem(error)}`);
    }
  }
  const [first, ...rest] = problems;
  if (first !== undefined) throw badInput(first, rest);
  return sources;
}

function standardInput(): LineSource {
  return {
    name: 'stdin',
    sizeBytes: sizeOfStdin(),
    isFile: false,
    open: (signal) => {
      signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
      return process.stdin as AsyncIterable<Buffer>;
    },
  };
}

/** Of `< FILE` it is known. */
function sizeOfStdin(): number | null {
  try {
    const stats = statSync('/dev/stdin');
    return stats.isFile() ? stats.size : null;
  } catch {
    return null;
  }
}

async function findFile(path: string): Promise<LineSource> {
  const stats = await stat(path);
  if (stats.isDirectory()) throw Object.assign(new Error('directory'), { code: 'EISDIR' });
  await access(path, constants.R_OK);
  return {
    name: path,
    // A pipe, as of `<(zcat items.gz)`, has none.
    sizeBytes: stats.isFile() ? stats.size : null,
    isFile: stats.isFile(),
    open: (signal) => createReadStream(path, { highWaterMark: CHUNK_BYTES, signal }),
  };
}

/**
 * Paths of the files that patterns match, each once, in order of their bytes.
 *
 * @throws CliError for every pattern that matches none.
 */
export async function findPaths(patterns: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  const problems: string[] = [];
  for (const pattern of patterns) {
    const before = found.size;
    let isEmpty = true;
    for await (const path of glob(pattern)) {
      if (!isFile(path)) {
        // Its bytes are lost: nobody could open it by this name.
        if (path.includes('\uFFFD')) problems.push(`${path}: the name is not UTF-8`);
        continue;
      }
      isEmpty = false;
      found.add(path);
    }
    if (isEmpty && found.size === before) problems.push(`--glob '${pattern}': no file matches`);
  }
  const [first, ...rest] = problems;
  if (first !== undefined) throw badInput(first, rest);
  return [...found].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    // A link that leads nowhere.
    return false;
  }
}
