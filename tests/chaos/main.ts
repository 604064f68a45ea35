/**
 * Breaks an installation of real processes while it works, and looks whether everything was right.
 *
 *   pnpm chaos [--minutes N] [--seed S] [--failing PERCENT] [--controllers N] [--workers N] [--keep]
 *
 * Exit code 0: no violation; 1: there are some, or the run broke off; 2: bad arguments.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { History } from './history.ts';
import { summaryOf, violationsText } from './report.ts';
import { playRun, type RunOptions } from './run.ts';

const USAGE =
  'usage: pnpm chaos [--minutes N] [--seed S] [--failing PERCENT] [--controllers N] [--workers N] [--keep]\n';

/** What each number may be. */
const NUMBERS = {
  minutes: { initial: '1', min: 0.05, max: 1_440, isInteger: false },
  seed: { initial: String(Date.now() % 1_000_000), min: 0, max: 2 ** 32 - 1, isInteger: true },
  failing: { initial: '0', min: 0, max: 50, isInteger: false },
  controllers: { initial: '2', min: 1, max: 20, isInteger: true },
  workers: { initial: '3', min: 1, max: 50, isInteger: true },
} as const;
type Name = keyof typeof NUMBERS;

/** Reads the arguments; all that is wrong with them is told at once. */
function readArguments(): { numbers: Record<Name, number>; keep: boolean } {
  const problems: string[] = [];
  const given: { values: Record<string, string | boolean | undefined> } = { values: {} };
  try {
    given.values = parseArgs({
      options: {
        minutes: { type: 'string' },
        seed: { type: 'string' },
        failing: { type: 'string' },
        controllers: { type: 'string' },
        workers: { type: 'string' },
        keep: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    problems.push((error as Error).message);
  }
  const read = (name: Name): number => {
    const { initial, min, max, isInteger } = NUMBERS[name];
    const text = String(given.values[name] ?? initial);
    const value = text.trim() === '' ? Number.NaN : Number(text);
    const isRight = value >= min && value <= max && (!isInteger || Number.isInteger(value));
    const what = isInteger ? 'an integer' : 'a number';
    if (!isRight) problems.push(`--${name} ${text}: ${what} from ${min} to ${max} is expected`);
    return value;
  };
  const names = Object.keys(NUMBERS) as Name[];
  const numbers = Object.fromEntries(names.map((name) => [name, read(name)]));
  if (problems.length > 0) {
    process.stderr.write(`${problems.join('\n')}\n${USAGE}`);
    process.exit(2);
  }
  return { numbers: numbers as Record<Name, number>, keep: given.values['keep'] === true };
}

const { numbers, keep } = readArguments();
const { seed, minutes, failing: failPercent, controllers, workers } = numbers;
const folder = mkdtempSync(join(tmpdir(), `drover-chaos-${seed}-`));
const history = new History();
const { isTTY } = process.stderr;
const startMs = performance.now();
const options: RunOptions = {
  folder,
  history,
  seed,
  seconds: minutes * 60,
  failPercent,
  controllers,
  workers,
  deletesAll: true,
  onProgress: (text) => {
    const seconds = Math.round((performance.now() - startMs) / 1_000);
    if (isTTY) process.stderr.write(`\r\u001B[K${seconds} s: ${text}`);
  },
};
process.stdout.write(
  `seed ${seed}: ${minutes} minutes, ${controllers} controllers, ${workers} workers\n`,
);
const keepHistory = (): void => {
  writeFileSync(join(folder, 'history.json'), JSON.stringify(history.moments, null, 1));
};
try {
  const result = await playRun(options);
  if (isTTY) process.stderr.write('\r\u001B[K');
  const isRight = result.violations.length === 0;
  if (!isRight) {
    const text = violationsText(result);
    process.stdout.write(`${text}\nseed ${seed}; Redis' data, logs and records are in ${folder}\n`);
    keepHistory();
    writeFileSync(join(folder, 'violations.txt'), text);
    writeFileSync(join(folder, 'evidence.json'), JSON.stringify(result.evidence));
  } else if (!keep) rmSync(folder, { recursive: true });
  process.stdout.write(`${summaryOf(result)}\n`);
  process.exitCode = isRight ? 0 : 1;
} catch (error) {
  keepHistory();
  process.stderr.write(`\nthe run with seed ${seed} broke off; what there is lies in ${folder}\n`);
  throw error;
}
