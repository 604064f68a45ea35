import { availableParallelism } from 'node:os';

import { badInput, CliError } from '../errors.ts';
import { HALT_FORMS, parseHalt, type HaltRule } from './halt.ts';
import { isForShell, planList, type ListPlan } from './listPlan.ts';
import { hasSources, readRows, splitWords, type SourceSpec } from './sources.ts';
import { wantsArguments } from './template.ts';

/** Options of `drover run` that say what is run, how often and with which arguments. */
export interface ListOptions {
  completions?: number;
  parallelism?: number;
  /** As typed: `8`, `50%`, `+1`, `-1`, `0`. */
  jobs?: string;
  indexed?: boolean;
  retries?: number;
  argFile?: string[];
  null?: boolean;
  keepOrder?: boolean;
  tag?: boolean;
  tagstring?: string;
  lineBuffer?: boolean;
  joblog?: string;
  resume?: boolean;
  resumeFailed?: boolean;
  /** As typed. */
  halt?: string;
  results?: string;
  shell?: boolean;
  /** Milliseconds. */
  timeout?: number;
}

/** What `drover run` was asked to do. */
export type RunRequest =
  | { readonly type: 'single'; readonly words: readonly string[]; readonly completions: number }
  | { readonly type: 'list'; readonly plan: ListPlan };

/** Options that make sense only with arguments: with one of them they are read from somewhere. */
export const LIST_FLAGS = {
  argFile: '--arg-file',
  null: '--null',
  keepOrder: '--keep-order',
  tag: '--tag',
  tagstring: '--tagstring',
  lineBuffer: '--line-buffer',
  joblog: '--joblog',
  resume: '--resume',
  resumeFailed: '--resume-failed',
  halt: '--halt',
  results: '--results',
} as const satisfies Partial<Record<keyof ListOptions, string>>;

/** More at once than this is asked of no engine. */
const MAX_PARALLELISM = 10_000;

/** Whether a command is to be run once for each of its arguments. */
export function isList(words: readonly string[], options: ListOptions): boolean {
  if (hasSources(words) || listFlags(options).length > 0) return true;
  if (options.completions !== undefined || options.indexed === true) return false;
  return options.jobs !== undefined || words.some(wantsArguments);
}

/**
 * Reads what was asked for.
 *
 * @throws CliError for options that contradict each other, and arguments that can't be read.
 */
export async function readRequest(
  words: readonly string[],
  options: ListOptions,
): Promise<RunRequest> {
  if (!isList(words, options)) return readSingle(words, options);
  const { command, sources: typed } = splitWords(words);
  const files = (options.argFile ?? []).map((path): SourceSpec => ({
    type: 'file',
    path,
    isLinked: false,
  }));
  const sources = [...files, ...typed];
  const halt = checkOptions(options);
  if (sources.length === 0) {
    if (process.stdin.isTTY) throw noArguments();
    sources.push({ type: 'file', path: '-', isLinked: false });
  }
  const rows = await readRows(sources, { isNullSeparated: options.null === true });
  const plan = planList({
    command,
    rows,
    sourceCount: sources.length,
    shell: options.shell ?? null,
    tagstring: options.tagstring ?? (options.tag === true ? '{}' : null),
    joblogPath: options.joblog ?? null,
    resume: options.resumeFailed === true ? 'failed' : options.resume === true ? 'all' : null,
    halt,
  });
  return { type: 'list', plan };
}

/** How many run at once; undefined when nothing is said. */
export function parallelismOf({ jobs, parallelism }: ListOptions): number | undefined {
  if (jobs === undefined) return parallelism;
  const [, sign = '', digits = '', percent = ''] = /^([+-]?)(\d{1,6})(%?)$/.exec(jobs) ?? [];
  const cores = availableParallelism();
  if (digits === '' || (sign !== '' && percent !== '')) {
    throw badInput(
      `--jobs ${jobs}: a number is expected, or a part of the CPUs such as 50%, +1 or -1`,
    );
  }
  const number = Number(digits);
  if (percent === '%') return Math.max(1, Math.floor((cores * number) / 100));
  if (sign !== '') return Math.max(1, cores + Number(`${sign}${number}`));
  return number === 0 ? MAX_PARALLELISM : Math.min(number, MAX_PARALLELISM);
}

function readSingle(words: readonly string[], options: ListOptions): RunRequest {
  parallelismOf(options);
  if (words.length === 0) {
    throw badInput('what is to be run? A program is missing', ['(`drover run --help` shows how)']);
  }
  const completions = options.completions ?? 1;
  const usesShell = options.shell ?? isForShell(words);
  return {
    type: 'single',
    words: usesShell ? ['sh', '-c', words.join(' ')] : words,
    completions,
  };
}

function listFlags(options: ListOptions): string[] {
  return Object.entries(LIST_FLAGS).flatMap(([name, flag]) =>
    options[name as keyof typeof LIST_FLAGS] === undefined ? [] : [flag],
  );
}

/** What is wrong with the options, all at once; answers the rule of `--halt`. */
function checkOptions(options: ListOptions): HaltRule | null {
  const problems: string[] = [];
  if (options.completions !== undefined || options.indexed === true) {
    const flag = options.completions === undefined ? '--indexed' : '--completions';
    problems.push(`${flag}: the command is run once for each of its arguments`);
  }
  if (options.jobs !== undefined && options.parallelism !== undefined) {
    problems.push('--jobs and --parallelism say the same thing: give one of them');
  }
  try {
    parallelismOf(options);
  } catch (error) {
    problems.push(error instanceof CliError ? error.message : String(error));
  }
  const resume = options.resumeFailed === true ? '--resume-failed' : '--resume';
  if ((options.resume ?? options.resumeFailed) === true && options.joblog === undefined) {
    problems.push(`${resume} needs --joblog FILE, the log of the run that is gone on with`);
  }
  if (options.tag === true && options.tagstring !== undefined) {
    problems.push('--tag and --tagstring exclude each other');
  }
  if (options.lineBuffer === true && options.keepOrder === true) {
    problems.push('--line-buffer prints as it comes and --keep-order does not: choose one');
  }
  if (options.timeout === 0) problems.push('--timeout 0: more than 0 is expected');
  const halt = options.halt === undefined ? null : parseHalt(options.halt);
  if (halt === undefined) problems.push(`--halt ${options.halt}: ${HALT_FORMS} is expected`);
  const [first, ...rest] = problems;
  if (first !== undefined) throw badInput(first, rest);
  return halt ?? null;
}

function noArguments(): CliError {
  return badInput('no arguments for the command', [
    '  give them after `:::`, in a file with --arg-file FILE, or through a pipe;',
    '  for a program that takes {} itself say how often it is run: --completions 1',
  ]);
}
