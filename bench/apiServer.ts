/**
 * The API server under load: lists and watches of many Jobs, and what it costs the engine when somebody
 * watches the pods of a busy one.
 *
 *   node scripts/launch.js bench/apiServer.ts [--jobs 10000] [--watchers 200] [--lists 2000] [--seconds 60] [--rounds 5]
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { type NodeProcess, spawnNode } from '@drover/testkit';

import { Bed, cpuSeconds, median, quantile, residentMegabytes } from './bed.ts';
import { podsPerSecond } from './scenarios.ts';

const { values: flags } = parseArgs({
  options: {
    jobs: { type: 'string', default: '10000' },
    watchers: { type: 'string', default: '200' },
    lists: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
    rounds: { type: 'string', default: '5' },
  },
});
const JOBS = Number(flags.jobs);
const WATCHERS = Number(flags.watchers);
const LISTS_PER_MINUTE = Number(flags.lists);
const SECONDS = Number(flags.seconds);
const ROUNDS = Number(flags.rounds);

/** Pods of the Job that is watched. */
const BUSY_PODS = 50_000;
/** How long the server may go on to tell of them when the Job is over. */
const TELL_MS = 120_000;
/** Between two changes that watchers are told of. */
const CHANGE_MS = 250;
const PODS = '/api/v1/namespaces/default/pods';
const PATH = '/apis/batch/v1/namespaces/default/jobs';

/** An API server in a process of its own, and how to reach it. */
class Api {
  readonly process: NodeProcess;
  /** Watches that had to begin anew. */
  restarts = 0;
  readonly #url: URL;
  readonly #authority: string;
  readonly #token: string;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(process: NodeProcess, url: URL, dir: string) {
    this.process = process;
    this.#url = url;
    this.#authority = readFileSync(join(dir, 'ca.crt'), 'utf8');
    this.#token = readFileSync(join(dir, 'token'), 'utf8').trim();
  }

  static async start(bed: Bed, dir: string): Promise<Api> {
    const script = fileURLToPath(new URL('../packages/cli/bin/drover.js', import.meta.url));
    const engine = ['--redis', bed.redis.url, '--prefix', bed.prefix];
    const limits = ['--port', '0', '--data-dir', dir, '--rate-limit', '0'];
    const child = spawnNode(script, ['server', ...engine, ...limits, '--log-level', 'error'], {});
    const [, url = ''] = await child.waitForLine(/the API server is ready: (\S+)/, 60_000);
    return new Api(child, new URL(url), dir);
  }

  /** Sends a request and reads the answer to its end; ms that it took. */
  async get(path: string, accept = 'application/json'): Promise<number> {
    const beganMs = performance.now();
    await new Promise<void>((resolve, reject) => {
      this.#open(path, accept, this.#agent, (code, chunk) => {
        if (code !== 200) reject(new Error(`${path}: ${code}`));
        else if (chunk === null) resolve();
      });
    });
    return performance.now() - beganMs;
  }

  /** The resourceVersion from which a watch misses nothing. */
  async version(path: string): Promise<string> {
    let text = '';
    await new Promise<void>((resolve) => {
      this.#open(`${path}?limit=1`, 'application/json', this.#agent, (_code, chunk) => {
        if (chunk === null) resolve();
        else text += chunk;
      });
    });
    return (JSON.parse(text) as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
  }

  /** Watches; the text as it comes. */
  watch(path: string, onText: (text: string) => void): () => void {
    let stop = (): void => undefined;
    let isStopped = false;
    const open = (): void => {
      // A connection each, as watchers of many clients have.
      stop = this.#open(path, 'application/json', new Agent(), (_code, chunk) => {
        if (chunk !== null) onText(chunk);
        else if (!isStopped) {
          this.restarts += 1;
          open();
        }
      });
    };
    open();
    return () => {
      isStopped = true;
      stop();
    };
  }

  #open(
    path: string,
    accept: string,
    agent: Agent,
    onChunk: (code: number, chunk: string | null) => void,
  ): () => void {
    const headers = { authorization: `Bearer ${this.#token}`, accept };
    const sent = request(new URL(path, this.#url), { ca: this.#authority, agent, headers });
    sent.on('response', (answer) => {
      const code = answer.statusCode ?? 0;
      answer.setEncoding('utf8').on('data', (chunk: string) => onChunk(code, chunk));
      answer.on('end', () => onChunk(code, null));
    });
    sent.on('error', () => onChunk(0, null));
    sent.end();
    return () => sent.destroy();
  }
}

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
/** What clients list: pages as kubectl asks for them, what is selected, and one by its name. */
const LISTS: readonly (readonly [string, string])[] = [
  [`${PATH}?limit=500`, TABLE],
  [`${PATH}?limit=500`, 'application/json'],
  [`${PATH}?labelSelector=n%3D7&limit=500`, 'application/json'],
  [`${PATH}?fieldSelector=metadata.name%3Djob-7`, 'application/json'],
];

function job(name: string, n: number) {
  const container = { name: 'main', image: 'noop' };
  return {
    metadata: { name, labels: { n: String(n % 100) } },
    spec: {
      suspend: true,
      template: {
        spec: {
          restartPolicy: 'Never' as const,
          runtimeClassName: 'handler',
          containers: [container],
        },
      },
    },
  };
}

/** Marks a Job, and notes when. */
async function changeOne(bed: Bed, changedMs: Map<string, number>, n: number): Promise<void> {
  changedMs.set(String(n), performance.now());
  await bed.drover.jobs.patch(`job-${n % JOBS}`, { metadata: { labels: { mark: String(n) } } });
}

/** Lists and watches of many Jobs. */
async function measureLoad(bed: Bed, api: Api): Promise<void> {
  const { pid } = api.process;
  for (let n = 0; n < JOBS; n += 50) {
    const some = Array.from({ length: Math.min(50, JOBS - n) }, (_, at) => n + at);
    await Promise.all(some.map((at) => bed.drover.jobs.create(job(`job-${at}`, at))));
  }
  const before = residentMegabytes(pid).now;
  // As informers do: they have a list already.
  const since = await api.version(PATH);
  const changedMs = new Map<string, number>();
  const latencies: number[] = [];
  /** What watches ended with. */
  const ends = new Set<string>();
  const stops = Array.from({ length: WATCHERS }, () => {
    let rest = '';
    return api.watch(`${PATH}?watch=1&resourceVersion=${since}`, (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('{"type":"ERROR"')) ends.add(line);
        const [, mark = ''] = /"mark":"(\d+)"/.exec(line) ?? [];
        const madeMs = changedMs.get(mark);
        if (madeMs !== undefined) latencies.push(performance.now() - madeMs);
      }
    });
  });
  // The first change that all of them were told of: they are there.
  await changeOne(bed, changedMs, 0);
  const patienceMs = performance.now() + 60_000;
  while (latencies.length < WATCHERS && performance.now() < patienceMs) await delay(100);
  console.log(`${latencies.length} of ${WATCHERS} watchers are there; ${api.restarts} began anew`);
  latencies.length = 0;
  const watching = residentMegabytes(pid).now;
  const cpuBefore = cpuSeconds(pid);
  const lists: number[] = [];
  const failures: string[] = [];
  const endMs = performance.now() + SECONDS * 1_000;
  const changing = (async () => {
    for (let n = 1; performance.now() < endMs; n++) {
      await changeOne(bed, changedMs, n);
      await delay(CHANGE_MS);
    }
  })();
  const pending: Promise<void>[] = [];
  for (let n = 0; performance.now() < endMs; n++) {
    const [path, accept] = LISTS[n % LISTS.length]!;
    pending.push(
      api.get(path, accept).then(
        (ms) => void lists.push(ms),
        (error: unknown) => void failures.push(String(error)),
      ),
    );
    await delay(60_000 / LISTS_PER_MINUTE);
  }
  await Promise.all([changing, ...pending]);
  const cpu = cpuSeconds(pid) - cpuBefore;
  await delay(1_000);
  for (const stop of stops) stop();
  const { now, peak } = residentMegabytes(pid);
  const ms = (values: readonly number[]): string =>
    `p50 ${median(values).toFixed(0)} ms, p99 ${quantile(values, 0.99).toFixed(0)} ms, max ${Math.max(...values).toFixed(0)} ms`;
  console.log(`${JOBS} Jobs, ${WATCHERS} watchers, ${lists.length} lists in ${SECONDS} s`);
  console.log(`lists: ${ms(lists)}; ${failures.length} failed ${failures.slice(0, 3).join('; ')}`);
  console.log(
    `changes: ${changedMs.size}, each to ${WATCHERS} watchers: ${latencies.length} told, ${ms(latencies)}; ${api.restarts} watches began anew ${[...ends].slice(0, 3).join('; ')}`,
  );
  console.log(
    `CPU of the server: ${cpu.toFixed(1)} s, for ${lists.length} lists and ${latencies.length} events`,
  );
  console.log(
    `memory of the server, MB: ${before.toFixed(0)} before, ${watching.toFixed(0)} with watchers, ${now.toFixed(0)} after, ${peak.toFixed(0)} at the highest`,
  );
}

/** CPU of the engine, s: of worker, controller and Redis. */
interface EngineCpu {
  readonly worker: number;
  readonly controller: number;
  readonly redis: number;
}

/** A busy Job, and what the engine did for it. */
interface BusyRound {
  readonly cpu: EngineCpu;
  readonly podsPerSecond: number;
}

function engineCpu(
  processes: { worker: NodeProcess; controller: NodeProcess },
  redis: number,
): EngineCpu {
  const { worker, controller } = processes;
  return { worker: cpuSeconds(worker.pid), controller: cpuSeconds(controller.pid), redis };
}

function sumOf({ worker, controller, redis }: EngineCpu): number {
  return worker + controller + redis;
}

/**
 * What it costs the engine that somebody watches the pods of a busy Job: CPU of worker, controller and
 * Redis for its pods, with a watch until it has told of the last one, and without, in alternation. CPU
 * and not the rate: how long a Job takes says more of what else the machine does. The API server's own
 * CPU is told apart: it is a process of its own, and most often on another machine.
 */
async function measureWatchCost(bed: Bed, api: Api): Promise<void> {
  const controller = await bed.startController();
  const worker = await bed.startWorker(50);
  const shape = { completions: BUSY_PODS, parallelism: 50 };
  const look = async (): Promise<EngineCpu> =>
    engineCpu({ worker, controller }, await redisCpuSeconds(bed));
  const measured = async (run: () => Promise<void>): Promise<BusyRound> => {
    const before = await look();
    const podsPerSec = await podsPerSecond(bed, shape);
    await run();
    const after = await look();
    const cpu = {
      worker: after.worker - before.worker,
      controller: after.controller - before.controller,
      redis: after.redis - before.redis,
    };
    return { cpu, podsPerSecond: podsPerSec };
  };
  await podsPerSecond(bed, { completions: 20_000, parallelism: 50 });
  const rounds: { watched: BusyRound; without: BusyRound }[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    const without = await measured(async () => undefined);
    const watch = await watchPods(api);
    const cpuBefore = cpuSeconds(api.process.pid);
    let note = '';
    const watched = await measured(async () => {
      const endedMs = performance.now();
      const toldBefore = watch.told();
      for (let ms = 0; ms < TELL_MS && watch.told() < BUSY_PODS; ms += 50) await delay(50);
      const lateMs = performance.now() - endedMs;
      note = `${toldBefore} pods told meanwhile, ${watch.told()} ${(lateMs / 1000).toFixed(1)} s after its end (${(watch.bytes() / 1e6).toFixed(0)} MB) with ${(cpuSeconds(api.process.pid) - cpuBefore).toFixed(1)} s of CPU of the server`;
    });
    watch.stop();
    // The engine goes on to log changes of pods until the announcement of the watcher is over.
    await delay(20_000);
    rounds.push({ watched, without });
    console.log(
      `round ${round}: ${textOf(watched)} watched, ${textOf(without)} without; ${note}; ${watch.restarts()} watches began anew`,
    );
  }
  const ratio = (of: (cpu: EngineCpu) => number): string =>
    median(rounds.map(({ watched, without }) => of(watched.cpu) / of(without.cpu))).toFixed(2);
  console.log(
    `CPU per pod, watched : not watched, median of ${ROUNDS}: ${ratio(sumOf)} (worker ${ratio(({ worker: own }) => own)}, controller ${ratio(({ controller: own }) => own)}, Redis ${ratio(({ redis }) => redis)})`,
  );
}

function textOf({ cpu, podsPerSecond: rate }: BusyRound): string {
  const perPod = (seconds: number): string => ((seconds / BUSY_PODS) * 1e6).toFixed(1);
  return `${perPod(sumOf(cpu))} us a pod (worker ${perPod(cpu.worker)}, controller ${perPod(cpu.controller)}, Redis ${perPod(cpu.redis)}; ${rate.toFixed(0)} pods/s)`;
}

/** Watches all pods from now on: what is there already is told to a client once, not while it watches. */
async function watchPods(api: Api) {
  let [bytes, told] = [0, 0];
  const restartsBefore = api.restarts;
  const since = await api.version(PODS);
  const stop = api.watch(`${PODS}?watch=1&resourceVersion=${since}`, (text) => {
    bytes += text.length;
    told += text.split('"phase":"Succeeded"').length - 1;
  });
  await delay(500);
  return {
    stop,
    bytes: () => bytes,
    told: () => told,
    restarts: () => api.restarts - restartsBefore,
  };
}

/** CPU that Redis has used, s. */
async function redisCpuSeconds(bed: Bed): Promise<number> {
  const info = await bed.redis.connect().info('cpu');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]);
  return field('used_cpu_user') + field('used_cpu_sys');
}

const dir = await mkdtemp(join(tmpdir(), 'drover-bench-'));
const bed = await Bed.open();
try {
  const api = await Api.start(bed, dir);
  if (JOBS > 0) await measureLoad(bed, api);
  await measureWatchCost(bed, api);
  await api.process.kill('SIGTERM');
} finally {
  await bed.close();
  await rm(dir, { recursive: true, force: true });
}
