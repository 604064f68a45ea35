import { badInput, CliError } from '../errors.ts';
import type { LineFormat } from '../enqueue/itemLine.ts';
import { findLineSources, type LineSource } from '../enqueue/sources.ts';
import { isForShell } from './listPlan.ts';
import { LIST_FLAGS, parallelismOf, type ListOptions } from './request.ts';
import { hasSources } from './sources.ts';

/** Options of `drover run` about items. */
export interface ItemsOptions {
  /** Files with an item on each line; `-` is standard input. */
  items?: string[];
  lines?: boolean;
  skipInvalid?: boolean;
  batch?: number;
  stream?: boolean;
  result?: boolean;
  keep?: boolean;
}

/** What is to be run for items. */
export interface ItemsRequest {
  readonly words: readonly string[];
  readonly sources: readonly LineSource[];
  readonly format: LineFormat;
  readonly skipsInvalid: boolean;
  /** How often an item is tried; null = as the work queue has it. */
  readonly attempts: number | null;
  /** Options of `drover consume`. */
  readonly consume: readonly string[];
  /** In which order results are printed; null = they are not kept. */
  readonly results: 'completion' | 'enqueue' | null;
  /** The work queue stays. */
  readonly keeps: boolean;
}

/** Options that make sense only with items. */
const ITEMS_FLAGS = {
  lines: '--lines',
  skipInvalid: '--skip-invalid',
  batch: '--batch',
  stream: '--stream',
  result: '--result',
  keep: '--keep',
} as const satisfies Partial<Record<keyof ItemsOptions, string>>;

/** Most attempts of an item. */
const MAX_ATTEMPTS = 1_000;

/** Options that need `--items`, which is not there. @throws CliError */
export function refuseWithoutItems(options: ItemsOptions): void {
  if (options.items !== undefined) return;
  const problems = Object.entries(ITEMS_FLAGS).flatMap(([name, flag]) =>
    options[name as keyof typeof ITEMS_FLAGS] === undefined
      ? []
      : [`${flag} is about items, and there are none: --items FILE gives them`],
  );
  const [first, ...rest] = problems;
  if (first !== undefined) throw badInput(first, rest);
}

/**
 * Reads what was asked for. Files are not read yet.
 *
 * @throws CliError for options that contradict each other, and files that can't be read.
 */
export async function readItemsRequest(
  words: readonly string[],
  options: ItemsOptions & ListOptions,
): Promise<ItemsRequest> {
  const problems = problemsOf(words, options);
  let sources: LineSource[] = [];
  try {
    sources = await findLineSources(options.items ?? []);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    problems.push(error.message, ...error.details);
  }
  const [first, ...rest] = problems;
  if (first !== undefined) throw badInput(first, rest);
  const { lines = false, skipInvalid = false, batch, stream, result, retries, keep } = options;
  const order = options.keepOrder === true ? 'enqueue' : 'completion';
  return {
    words: (options.shell ?? isForShell(words)) ? ['sh', '-c', words.join(' ')] : words,
    sources,
    format: { isText: lines, key: null },
    skipsInvalid: skipInvalid,
    attempts: retries ?? null,
    consume: [
      ...(batch === undefined ? [] : ['--batch', String(batch)]),
      ...(stream === true ? ['--stream'] : []),
      ...(result === true ? ['--result'] : []),
    ],
    results: result === true ? order : null,
    keeps: keep === true,
  };
}

/** All that is wrong with the options. */
function problemsOf(words: readonly string[], options: ItemsOptions & ListOptions): string[] {
  const problems: string[] = [];
  if (words.length === 0 || hasSources(words.slice(0, 1))) {
    problems.push('what is to be run for the items? A program is missing');
  }
  if (hasSources(words)) {
    problems.push('`:::` gives arguments and --items gives items: choose one of them');
  }
  const { keepOrder, ...others } = LIST_FLAGS;
  for (const [name, flag] of Object.entries(others)) {
    if (options[name as keyof typeof others] === undefined) continue;
    problems.push(`${flag} is about arguments; with --items there are items instead`);
  }
  if (options.keepOrder === true && options.result !== true) {
    problems.push(`${keepOrder} is about results: with --result`);
  }
  if (options.completions !== undefined || options.indexed === true) {
    const flag = options.completions === undefined ? '--indexed' : '--completions';
    problems.push(`${flag}: the program is run for each of its items`);
  }
  if (options.jobs !== undefined && options.parallelism !== undefined) {
    problems.push('--jobs and --parallelism say the same thing: give one of them');
  }
  try {
    parallelismOf(options);
  } catch (error) {
    problems.push(error instanceof CliError ? error.message : String(error));
  }
  const { batch, stream, result, retries } = options;
  if (batch !== undefined && stream === true) {
    problems.push(
      '--batch gives several lines to each run and --stream all of them to one: choose one',
    );
  }
  if (batch !== undefined && result === true) {
    problems.push('--result needs to know which item it is of: not with --batch');
  }
  if (retries !== undefined && (retries < 1 || retries > MAX_ATTEMPTS)) {
    problems.push(
      `--retries ${retries}: with --items 1 to ${MAX_ATTEMPTS}, how often each is tried`,
    );
  }
  if (options.timeout === 0) problems.push('--timeout 0: more than 0 is expected');
  return problems;
}
