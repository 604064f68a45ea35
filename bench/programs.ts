import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import type { Bed } from './bed.ts';
import { bullmqJobsPerSecond } from './scenarios.ts';

/** What each of the scenarios runs: as little as a program can do, so that starting it is what counts. */
const PROGRAM = '/bin/true';

/** A Job whose pods are programs. */
export function processJob(
  command: readonly string[],
  spec: Record<string, unknown>,
): Record<string, unknown> {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { generateName: 'program-' },
    spec: {
      ...spec,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'none', command }] },
      },
    },
  };
}

/** Runs a Job of process pods; pods per second from the create call to Complete. */
export async function programPodsPerSecond(
  bed: Bed,
  count: number,
  parallelism: number,
): Promise<number> {
  const startedMs = performance.now();
  const job = await bed.drover.jobs.create(
    processJob([PROGRAM], { completions: count, parallelism }),
  );
  await bed.drover.jobs.wait(job, { for: 'complete', timeoutMs: 300_000 });
  return (count / (performance.now() - startedMs)) * 1000;
}

/** The same by `xargs -P`; programs per second. */
export async function xargsPerSecond(count: number, parallelism: number): Promise<number> {
  return inputRate('xargs', ['-P', String(parallelism), '-n', '1', PROGRAM], count);
}

/** The same by GNU parallel; programs per second, or null where it is not installed. */
export async function gnuParallelPerSecond(
  count: number,
  parallelism: number,
): Promise<number | null> {
  if (!(await isGnuParallel())) return null;
  return inputRate('parallel', ['--will-cite', '-j', String(parallelism), PROGRAM], count);
}

/** The same by a BullMQ worker that spawns a program for each job; jobs per second. */
export function bullmqSpawnsPerSecond(
  bed: Bed,
  count: number,
  concurrency: number,
): Promise<number> {
  const work = { script: 'bullmqSpawner', data: { command: PROGRAM } };
  return bullmqJobsPerSecond(bed, count, concurrency, work);
}

/** Gives a command so many lines and waits for its end; lines per second. */
async function inputRate(command: string, args: readonly string[], count: number): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(Array.from({ length: count }, (_, index) => `${index}\n`).join(''));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}`);
  return (count / (performance.now() - startedMs)) * 1000;
}

/** Whether `parallel` is there, and GNU's: moreutils has another of the name. */
async function isGnuParallel(): Promise<boolean> {
  const child = spawn('parallel', ['--version'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await new Promise((resolve) => {
    child.once('error', resolve);
    child.once('close', resolve);
  });
  return text.startsWith('GNU parallel');
}
