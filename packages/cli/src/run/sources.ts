import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';

import { badInput } from '../errors.ts';
import type { ArgumentRow } from './template.ts';

/** Where arguments come from. */
export type SourceSpec = (
  | { readonly type: 'values'; readonly values: readonly string[] }
  /** `-` is standard input. */
  | { readonly type: 'file'; readonly path: string }
) & {
  /** Goes along with the source before, value by value (`:::+`). */
  readonly isLinked: boolean;
};

/** What was typed, taken apart. */
export interface SplitWords {
  /** The command; empty when the arguments are commands themselves. */
  readonly command: readonly string[];
  readonly sources: readonly SourceSpec[];
}

/** More runs than this are refused: a product grows faster than one thinks. */
const MAX_ROWS = 1_000_000;

const SEPARATOR = /^:{3,4}\+?$/;

/** Whether arguments follow the command. */
export function hasSources(words: readonly string[]): boolean {
  return words.some((word) => SEPARATOR.test(word));
}

/** Takes the command and what follows `:::`, `:::+`, `::::` and `::::+` apart. */
export function splitWords(words: readonly string[]): SplitWords {
  const first = words.findIndex((word) => SEPARATOR.test(word));
  if (first === -1) return { command: words, sources: [] };
  const sources: SourceSpec[] = [];
  for (let at = first; at < words.length;) {
    const separator = words[at] ?? '';
    const next = words.findIndex((word, i) => i > at && SEPARATOR.test(word));
    const values = words.slice(at + 1, next === -1 ? undefined : next);
    at = next === -1 ? words.length : next;
    const isLinked = separator.endsWith('+');
    if (isLinked && sources.length === 0) {
      throw badInput(`${separator} goes along with a source before it, and there is none`);
    }
    if (!separator.startsWith('::::')) sources.push({ type: 'values', values, isLinked });
    else for (const path of values) sources.push({ type: 'file', path, isLinked });
  }
  return { command: words.slice(0, first), sources };
}

/** How sources are read. */
export interface ReadOptions {
  /** Values end with a NUL byte, not with a newline. */
  readonly isNullSeparated: boolean;
  /** Only the standard input of a test is another. */
  readonly stdin?: AsyncIterable<Buffer>;
}

/**
 * Reads the sources and combines them: linked ones value by value, others each with each, the last
 * source fastest.
 *
 * @throws CliError for all that can't be read, at once.
 */
export async function readRows(
  sources: readonly SourceSpec[],
  options: ReadOptions,
): Promise<ArgumentRow[]> {
  const stdinCount = sources.filter((one) => one.type === 'file' && one.path === '-').length;
  if (stdinCount > 1) throw badInput('standard input can be read only once: `-` is there twice');
  const problems: string[] = [];
  const read: (readonly string[])[] = [];
  for (const source of sources) {
    if (source.type === 'values') read.push(source.values);
    else read.push(await readValues(source.path, options, problems));
  }
  const [first, ...rest] = problems;
  if (first !== undefined) throw badInput(first, rest);

  const groups: string[][][] = [];
  for (const [i, values] of read.entries()) {
    const group = groups.at(-1);
    if (sources[i]?.isLinked === true && group !== undefined) link(group, values);
    else groups.push(values.map((value) => [value]));
  }
  const count = groups.reduce((product, group) => product * group.length, 1);
  if (count > MAX_ROWS) {
    throw badInput(`${count} combinations of arguments are too many: at most ${MAX_ROWS} can run`);
  }
  return groups.reduce<string[][]>(
    (rows, group) => rows.flatMap((row) => group.map((values) => [...row, ...values])),
    [[]],
  );
}

function link(group: string[][], values: readonly string[]): void {
  if (group.length !== values.length) {
    // GNU parallel leaves out what is too much; whoever forgot an argument never learns it.
    throw badInput(
      `linked sources (:::+, ::::+) must be equally long: ${group.length} and ${values.length} arguments`,
    );
  }
  for (const [i, value] of values.entries()) group[i]?.push(value);
}

async function readValues(
  path: string,
  { isNullSeparated, stdin = process.stdin }: ReadOptions,
  problems: string[],
): Promise<string[]> {
  const name = path === '-' ? 'standard input' : path;
  const chunks: Buffer[] = [];
  try {
    const stream: AsyncIterable<Buffer> = path === '-' ? stdin : createReadStream(path);
    for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  } catch (error) {
    problems.push(`${name}: can't be read: ${fileProblem(error)}`);
    return [];
  }
  const bytes = Buffer.concat(chunks);
  const unit = isNullSeparated ? 'argument' : 'line';
  const separator = isNullSeparated ? '\0' : '\n';
  if (!isUtf8(bytes)) {
    const number = firstThat(bytes, separator, (value) => !isUtf8(value));
    problems.push(`${name}: ${unit} ${number} is not UTF-8: an argument has to be text`);
    return [];
  }
  if (!isNullSeparated && bytes.includes(0)) {
    const number = firstThat(bytes, separator, (value) => value.includes(0));
    problems.push(
      `${name}: line ${number} has a NUL byte, which no argument can contain; -0 reads arguments that end with one`,
    );
    return [];
  }
  const values = bytes.toString().split(separator);
  // What follows the last separator counts if it is not empty.
  if (values.at(-1) === '') values.pop();
  return values;
}

/** Number, from 1, of the first part that is so. */
function firstThat(bytes: Buffer, separator: string, isSo: (part: Buffer) => boolean): number {
  let number = 1;
  for (let from = 0; from < bytes.length; number++) {
    const end = bytes.indexOf(separator, from);
    const to = end === -1 ? bytes.length : end;
    if (isSo(bytes.subarray(from, to))) break;
    from = to + 1;
  }
  return number;
}

/** Why a file can't be used, in words. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file or directory';
    case 'EACCES':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
