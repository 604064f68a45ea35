import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../scripts/lib/toolchain.js';
import { Bed, median } from './bed.ts';
import {
  bullmqSpawnsPerSecond,
  gnuParallelPerSecond,
  programPodsPerSecond,
  xargsPerSecond,
} from './programs.ts';
import { type CpuShare, type Follow, idleSleepers, logFollow } from './runningPods.ts';

const PARALLELISM = 4;

/** Programs started per second in one round. */
export interface ProgramRound {
  readonly native: number;
  readonly javascript: number;
  readonly xargs: number;
  /** null = GNU parallel is not installed. */
  readonly parallel: number | null;
  readonly bullmq: number;
}

/** What the pods of a worker cost while they run. */
export interface RunningPods {
  readonly sleepers: CpuShare;
  readonly follow: Follow;
}

/** Starts the same program by Drover and by others, in turn. */
export async function playPrograms(quick: boolean): Promise<ProgramRound> {
  const count = quick ? 500 : 2_000;
  const few = quick ? 100 : 300;
  buildHelper();
  const bed = await Bed.open();
  try {
    await bed.startController();
    const native = await podsBy(bed, 'native', count);
    const xargs = await xargsPerSecond(count, PARALLELISM);
    const javascript = await podsBy(bed, 'javascript', count);
    const bullmq = await bullmqSpawnsPerSecond(bed, count / 2, PARALLELISM);
    const parallel = await gnuParallelPerSecond(few, PARALLELISM);
    return { native, javascript, xargs, parallel, bullmq };
  } finally {
    await bed.close();
  }
}

/** The helper in JavaScript as it is published: to run TypeScript Node needs twice the memory, which is copied for each start. */
function buildHelper(): void {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  execFileSync(tsc, ['-b', join(ROOT, 'packages', 'worker')], { stdio: 'inherit' });
}

async function podsBy(bed: Bed, helper: string, count: number): Promise<number> {
  const worker = await bed.startWorker(PARALLELISM, { DROVER_PROCESS_HELPER: helper });
  // What runs for the first time is slow in Node.
  await programPodsPerSecond(bed, Math.min(count, 500), PARALLELISM);
  const rate = await programPodsPerSecond(bed, count, PARALLELISM);
  await bed.stop(worker);
  return rate;
}

/** Measures pods that only sleep, and pods that only write. */
export async function measureRunningPods(quick: boolean): Promise<RunningPods> {
  const sleepers = await onBed((bed) => idleSleepers(bed, 200, quick ? 5_000 : 20_000));
  const follow = await onBed((bed) => logFollow(bed, 20, 1_000, quick ? 2_000 : 5_000));
  return { sleepers, follow };
}

async function onBed<T>(measure: (bed: Bed) => Promise<T>): Promise<T> {
  const bed = await Bed.open();
  try {
    return await measure(bed);
  } finally {
    await bed.close();
  }
}

/** Rows of the table and ratios. */
export function tellPrograms(
  rounds: readonly ProgramRound[],
  running: RunningPods,
): { rows: [string, string, string][]; ratios: Record<string, number> } {
  const mid = (figure: (round: ProgramRound) => number): number => median(rounds.map(figure));
  const hasParallel = rounds.every((round) => round.parallel !== null);
  const ratios = {
    processVsXargs: mid((round) => round.native / round.xargs),
    processJavascriptVsXargs: mid((round) => round.javascript / round.xargs),
    ...(hasParallel && {
      processVsParallel: mid((round) => round.native / (round.parallel ?? Number.NaN)),
    }),
    processVsBullmqSpawn: mid((round) => round.native / round.bullmq),
  };
  const row = (
    name: string,
    figures: readonly [number, number],
    ratio: number,
  ): [string, string, string] => [
    name,
    figures.map((figure) => `${Math.round(figure).toLocaleString('en')}/s`).join(' : '),
    ratio.toFixed(2),
  ];
  const native = mid((round) => round.native);
  const xargs = mid((round) => round.xargs);
  const javascript = mid((round) => round.javascript);
  const parallel = mid((round) => round.parallel ?? 0);
  const { sleepers, follow } = running;
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
  return {
    rows: [
      row('process pods : xargs -P4', [native, xargs], ratios.processVsXargs),
      row('  by the JavaScript helper', [javascript, xargs], ratios.processJavascriptVsXargs),
      ratios.processVsParallel === undefined
        ? ['process pods : GNU parallel -j4', 'not installed: apt-get install parallel', '']
        : row('process pods : GNU parallel -j4', [native, parallel], ratios.processVsParallel),
      row(
        'process pods : BullMQ jobs that spawn',
        [native, mid((round) => round.bullmq)],
        ratios.processVsBullmqSpawn,
      ),
      [
        '200 pods of sleep',
        `${percent(sleepers.worker)} of a CPU for the worker, ${percent(sleepers.helper)} its helper`,
        '',
      ],
      [
        `${follow.pods} followed pods, ${follow.linesPerPodPerSecond} lines/s each`,
        `p50 ${follow.latencyP50.toFixed(0)} ms, p99 ${follow.latencyP99.toFixed(0)} ms, ${follow.lost} lost, ${follow.disordered} out of order; worker ${percent(follow.cpu.worker)}, helper ${percent(follow.cpu.helper)}`,
        '',
      ],
    ],
    ratios,
  };
}
