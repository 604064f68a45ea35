import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bed, quantile } from './bed.ts';
import { processJob } from './programs.ts';

/** How long the pods of a scenario may take to run. */
const START_TIMEOUT_MS = 60_000;
/** Ticks of the kernel's accounting, per second. */
const TICKS_PER_SECOND = 100;

/** CPU time used, as a share of one CPU. Linux only; NaN elsewhere. */
export interface CpuShare {
  readonly worker: number;
  readonly helper: number;
}

/** CPU of a worker while its pods sleep. */
export async function idleSleepers(bed: Bed, count: number, forMs: number): Promise<CpuShare> {
  const controller = await bed.startController();
  const worker = await bed.startWorker(count);
  const job = await bed.drover.jobs.create(
    processJob(['sleep', '600'], { completions: count, parallelism: count }),
  );
  await untilRunning(bed, job.metadata.name, count);
  const cpu = cpuClock(worker.pid);
  await delay(forMs);
  const share = cpu();
  await bed.drover.jobs.delete(job);
  await bed.stop(worker);
  await bed.stop(controller);
  return share;
}

/** What came of followed logs. */
export interface Follow {
  readonly pods: number;
  readonly linesPerPodPerSecond: number;
  /** Lines that never came, of all. */
  readonly lost: number;
  /** Lines that came before one written earlier. */
  readonly disordered: number;
  /** From the write of a line to its reading by the follower. ms. */
  readonly latencyP50: number;
  readonly latencyP99: number;
  readonly cpu: CpuShare;
}

/** Follows the logs of pods that all write at once. */
export async function logFollow(
  bed: Bed,
  pods: number,
  perSecond: number,
  forMs: number,
): Promise<Follow> {
  const SETTLE_MS = 12_000;
  const controller = await bed.startController();
  const worker = await bed.startWorker(pods);
  const script = fileURLToPath(new URL('processes/logProgram.ts', import.meta.url));
  const count = (perSecond * forMs) / 1000;
  const startAtMs = Date.now() + SETTLE_MS;
  const args = [script, startAtMs, count, perSecond].map(String);
  const job = await bed.drover.jobs.create(
    processJob([process.execPath, '--disable-warning=ExperimentalWarning', ...args], {
      completions: pods,
      parallelism: pods,
    }),
  );
  await untilRunning(bed, job.metadata.name, pods);
  const listed = await bed.drover.pods.list({ job: job.metadata.name });
  const reading = Promise.all(listed.map((pod) => followOne(bed, pod.metadata.name)));
  await delay(startAtMs - Date.now());
  const cpu = cpuClock(worker.pid);
  await delay(forMs);
  const share = cpu();
  const read = await reading;
  await bed.stop(worker);
  await bed.stop(controller);
  const latencies = read.flatMap((one) => one.latencies);
  return {
    pods,
    linesPerPodPerSecond: perSecond,
    lost: pods * count - latencies.length,
    disordered: read.reduce((sum, one) => sum + one.disordered, 0),
    latencyP50: quantile(latencies, 0.5),
    latencyP99: quantile(latencies, 0.99),
    cpu: share,
  };
}

async function followOne(
  bed: Bed,
  pod: string,
): Promise<{ latencies: number[]; disordered: number }> {
  const latencies: number[] = [];
  let last = -1;
  let disordered = 0;
  for await (const line of bed.drover.pods.logs(pod, { follow: true })) {
    const [number, writtenMs] = line.split(' ').map(Number);
    // Not a line of the program: some were dropped, and then they are missing in the count.
    if (number === undefined || writtenMs === undefined || Number.isNaN(writtenMs)) continue;
    latencies.push(performance.timeOrigin + performance.now() - writtenMs);
    if (number < last) disordered += 1;
    last = number;
  }
  return { latencies, disordered };
}

async function untilRunning(bed: Bed, job: string, count: number): Promise<void> {
  const untilMs = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const pods = await bed.drover.pods.list({ job });
    if (pods.filter((pod) => pod.status?.phase === 'Running').length === count) return;
    if (performance.now() > untilMs) throw new Error(`not all ${count} pods of ${job} run`);
    await delay(100);
  }
}

/** Begins to measure; the function it returns says what a worker and its helper used since then. */
function cpuClock(workerPid: number): () => CpuShare {
  const helperPid = childOf(workerPid);
  const beganMs = performance.now();
  const [worker, helper] = [cpuTicks(workerPid), cpuTicks(helperPid)];
  return () => {
    const seconds = (performance.now() - beganMs) / 1000;
    const share = (ticks: number): number => ticks / TICKS_PER_SECOND / seconds;
    return {
      worker: share(cpuTicks(workerPid) - worker),
      helper: share(cpuTicks(helperPid) - helper),
    };
  };
}

/** The first child of a process: of a worker, its helper. */
function childOf(pid: number): number {
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim();
      if (children !== '') return Number(children.split(' ')[0]);
    }
  } catch {
    // Not Linux.
  }
  return 0;
}

/** CPU time of a process, without its children's. */
function cpuTicks(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return Number.NaN;
  }
}
