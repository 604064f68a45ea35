import { badInput } from '../errors.ts';
import { readSources, type LineProblem } from './feed.ts';
import { readItemLine, type LineFormat } from './itemLine.ts';
import type { LineSource } from './sources.ts';

/** Problems that are told one by one; the rest is counted. */
export const MAX_TOLD_PROBLEMS = 20;

/**
 * Reads files to their end, so that nothing of them is enqueued when a line is bad.
 *
 * @param onProgress - Told now and then how much was read.
 * @returns how many items there are; null when it was interrupted.
 * @throws CliError with the bad lines.
 */
export async function checkFiles(
  files: readonly LineSource[],
  format: LineFormat,
  options: {
    readonly signal: AbortSignal;
    readonly onProgress: (done: { items: number; bytesRead: number }) => void;
  },
): Promise<number | null> {
  const { signal, onProgress } = options;
  const problems: LineProblem[] = [];
  let badLines = 0;
  let items = 0;
  try {
    for await (const { name, firstNumber, lines, bytesRead } of readSources(files, signal)) {
      for (const [i, line] of lines.entries()) {
        const read = readItemLine(line, format);
        if (read === null) continue;
        items += 1;
        if (!('problem' in read)) continue;
        badLines += 1;
        if (problems.length === MAX_TOLD_PROBLEMS) continue;
        const number = firstNumber + i;
        problems.push({ at: `${name}:${number}`, line: number, problem: read.problem });
      }
      onProgress({ items, bytesRead });
    }
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
  if (badLines === 0) return items;
  const [first = '', ...rest] = problems.map(({ at, problem }) => `${at}: ${problem}`);
  throw badInput(first, [
    ...rest,
    ...(badLines > problems.length
      ? [`and ${badLines - problems.length} more lines that can't be enqueued`]
      : []),
    'Nothing was enqueued. --skip-invalid enqueues the other lines.',
    ...problems.flatMap((problem) => hintsFor(problem, format)).slice(0, 2),
  ]);
}

/** What a bad first line of a source may mean. */
export function hintsFor({ at, line, problem }: LineProblem, { isText }: LineFormat): string[] {
  if (isText || line !== 1 || !problem.startsWith('is not JSON')) return [];
  const file = at.replace(/:1$/, '');
  const source = file === 'stdin' ? '' : ` ${file}`;
  return [
    `One item is expected on each line; jq -c '.[]'${source} makes that of one JSON list.`,
    'Lines that are no JSON become items with --lines.',
  ];
}
