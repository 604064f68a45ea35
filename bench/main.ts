/**
 * Drover beside BullMQ on one Redis, in turn, in one run: what counts are the ratios.
 *
 *   pnpm bench [--quick] [--rounds N] [--million] [--json FILE]
 *   pnpm bench --only burst|programs|items [--rounds N] [--million] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Bed, median } from './bed.ts';
import { beginItems, playItemRound, tellItems } from './itemReport.ts';
import {
  measureRunningPods,
  playPrograms,
  type ProgramRound,
  tellPrograms,
} from './programReport.ts';
import {
  bullmqJobsPerSecond,
  burst,
  type Burst,
  flowChildrenPerSecond,
  footprint,
  type Footprint,
  handlerLatency,
  idleCommandsPerSecond,
  leaveFinishedJobs,
  type Latency,
  podsPerSecond,
  processLatency,
} from './scenarios.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    million: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const quick = flags.quick;
const rounds = Number(flags.rounds ?? (quick ? 1 : 3));

/** Pairs of a round: a run takes half a second, and what else the machine does shows in it. */
const WORKER_PAIRS = 3;

/** Rates of one round, per second. */
interface Round {
  readonly pods: number;
  readonly bullmq: number;
  readonly flow: number;
  readonly podsP1: number;
  readonly bullmqP1: number;
  readonly workers: readonly WorkerPair[];
}

/** Rates of the same Job with one worker and with two, one right after the other. */
interface WorkerPair {
  readonly one: number;
  readonly two: number;
}

async function playRound(): Promise<Round> {
  const many = quick ? 20_000 : 50_000;
  const few = quick ? 3_000 : 10_000;
  const bed = await Bed.open();
  try {
    const bullmq = await bullmqJobsPerSecond(bed, many, 50);
    const controller = await bed.startController();
    const worker = await bed.startWorker(200);
    await podsPerSecond(bed, { completions: 2_000, parallelism: 50 });
    const pods = await podsPerSecond(bed, { completions: many, parallelism: 50 });
    const podsP1 = await podsPerSecond(bed, { completions: few, parallelism: 1 });
    const workers: WorkerPair[] = [];
    for (let i = 0; i < (quick ? 1 : WORKER_PAIRS); i++) workers.push(await playWorkers(bed, many));
    for (const child of [worker, controller]) await bed.stop(child);
    const bullmqP1 = await bullmqJobsPerSecond(bed, few, 1);
    const flow = await flowChildrenPerSecond(bed, quick ? 5_000 : 10_000);
    return { pods, bullmq, flow, podsP1, bullmqP1, workers };
  } finally {
    await bed.close();
  }
}

/** One worker runs already. */
async function playWorkers(bed: Bed, completions: number): Promise<WorkerPair> {
  const one = await podsPerSecond(bed, { completions, parallelism: 200 });
  const second = await bed.startWorker(200);
  await podsPerSecond(bed, { completions: 10_000, parallelism: 200 });
  const two = await podsPerSecond(bed, { completions, parallelism: 200 });
  await bed.stop(second);
  return { one, two };
}

async function playBurst(): Promise<Burst> {
  const bed = await Bed.open();
  try {
    return await burst(bed, 1_000);
  } finally {
    await bed.close();
  }
}

/** Rows of the table and ratios about bursts. */
function tellBursts(bursts: readonly Burst[]): {
  rows: [string, string, string][];
  ratios: Record<string, number>;
} {
  const mid = (figure: (one: Burst) => number): number => median(bursts.map(figure));
  const ratios = {
    burstVsOneJob: mid((one) => one.jobs / one.pods),
    burstVsBullmq: mid((one) => one.jobs / one.bullmq),
  };
  const jobs = mid((one) => one.jobs);
  return {
    rows: [
      [
        '1,000 one-pod Jobs at once : one Job of 1,000 pods',
        pair(
          jobs,
          mid((one) => one.pods),
        ),
        ratios.burstVsOneJob.toFixed(2),
      ],
      [
        '1,000 one-pod Jobs at once : BullMQ jobs, each waited for',
        pair(
          jobs,
          mid((one) => one.bullmq),
        ),
        ratios.burstVsBullmq.toFixed(2),
      ],
    ],
    ratios,
  };
}

/** Figures of an otherwise idle system. */
interface Idle {
  readonly handler: Latency;
  readonly process: Latency;
  readonly commands: number;
  readonly commandsWithFinished: number;
  readonly finishedJobs: number;
}

async function measureIdle(): Promise<Idle> {
  const bed = await Bed.open();
  try {
    await bed.startController();
    await bed.startWorker(50);
    await handlerLatency(bed, 20);
    const handler = await handlerLatency(bed, quick ? 100 : 500);
    const program = await processLatency(bed, quick ? 20 : 100);
    const idleMs = quick ? 3_000 : 15_000;
    const commands = await idleCommandsPerSecond(bed, idleMs);
    const finishedJobs = quick ? 300 : 10_000;
    await leaveFinishedJobs(bed, finishedJobs);
    const commandsWithFinished = await idleCommandsPerSecond(bed, idleMs);
    return { handler, process: program, commands, commandsWithFinished, finishedJobs };
  } finally {
    await bed.close();
  }
}

async function measureFootprint(completions: number): Promise<Footprint> {
  const bed = await Bed.open();
  try {
    return await footprint(bed, completions);
  } finally {
    await bed.close();
  }
}

function writeJson(result: object): void {
  if (flags.json !== undefined) {
    writeFileSync(flags.json, `${JSON.stringify(result, null, 2)}\n`);
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function rate(value: number): string {
  return `${Math.round(value).toLocaleString('en')}/s`;
}

function pair(a: number, b: number): string {
  return `${rate(a)} : ${rate(b)}`;
}

function printTable(rows: readonly (readonly [string, string, string])[]): void {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const [name, figures, ratio] of rows) {
    console.log(
      `${name.padEnd(widths[0]!)}  ${figures.padEnd(widths[1]!)}  ${ratio.padStart(widths[2]!)}`,
    );
  }
}

const parts = ['burst', 'programs', 'items'];
if (flags.only !== undefined && !parts.includes(flags.only)) {
  say(`--only ${flags.only}: must be one of ${parts.join(', ')}`);
  process.exit(2);
}
const isWanted = (part: string): boolean => flags.only === undefined || flags.only === part;
const played: Round[] = [];
const bursts: Burst[] = [];
const programs: ProgramRound[] = [];
const items = isWanted('items') ? await beginItems(quick, flags.million) : null;
for (let i = 0; i < rounds; i++) {
  say(`round ${i + 1} of ${rounds} ...`);
  if (flags.only === undefined) played.push(await playRound());
  if (isWanted('burst')) bursts.push(await playBurst());
  if (isWanted('programs')) programs.push(await playPrograms(quick));
  if (items !== null) await playItemRound(items, quick);
}
const told: { rows: [string, string, string][]; ratios: Record<string, number> } = {
  rows: [],
  ratios: {},
};
if (isWanted('burst')) {
  const { rows, ratios } = tellBursts(bursts);
  told.rows.push(...rows);
  Object.assign(told.ratios, ratios);
}
const itemsTold = items === null ? null : tellItems(items);
if (itemsTold !== null) {
  told.rows.push(...itemsTold.rows);
  Object.assign(told.ratios, itemsTold.ratios);
}
const running = isWanted('programs') ? await measureRunningPods(quick) : null;
if (running !== null) {
  const { rows, ratios } = tellPrograms(programs, running);
  told.rows.push(...rows);
  Object.assign(told.ratios, ratios);
}
const parted = { ratios: told.ratios, bursts, programs, running, items, ...itemsTold?.other };
if (flags.only !== undefined) {
  printTable([['what', 'median rates', 'ratio'], ...told.rows]);
  writeJson(parted);
  process.exit(0);
}
say('idle system ...');
const idle = await measureIdle();
const completions = flags.million ? 1_000_000 : quick ? 20_000 : 100_000;
say(`an Indexed Job of ${completions.toLocaleString('en')} pods ...`);
const large = await measureFootprint(completions);

const of = (figure: (round: Round) => number): number => median(played.map(figure));
const pairs = played.flatMap(({ workers }) => workers);
const ratios = {
  podsVsBullmq: of((round) => round.pods / round.bullmq),
  podsVsFlow: of((round) => round.pods / round.flow),
  podsP1VsBullmq: of((round) => round.podsP1 / round.bullmqP1),
  twoWorkersVsOne: median(pairs.map(({ one, two }) => two / one)),
  idleWithFinishedJobs: idle.commandsWithFinished / idle.commands,
  ...told.ratios,
};
const ms = ({ p50, p99 }: Latency): string => `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
printTable([
  ['what', 'median rates', 'ratio'],
  [
    'pods : BullMQ jobs, at 50',
    pair(
      of((r) => r.pods),
      of((r) => r.bullmq),
    ),
    ratios.podsVsBullmq.toFixed(2),
  ],
  [
    'pods at 50 : BullMQ Flow children',
    pair(
      of((r) => r.pods),
      of((r) => r.flow),
    ),
    ratios.podsVsFlow.toFixed(2),
  ],
  [
    'pods : BullMQ jobs, at 1',
    pair(
      of((r) => r.podsP1),
      of((r) => r.bullmqP1),
    ),
    ratios.podsP1VsBullmq.toFixed(2),
  ],
  [
    'two workers : one, at 200',
    pair(median(pairs.map(({ two }) => two)), median(pairs.map(({ one }) => one))),
    ratios.twoWorkersVsOne.toFixed(2),
  ],
  ...told.rows,
  ['submit to handler', ms(idle.handler), ''],
  ['submit to process', ms(idle.process), ''],
  [
    `idle commands, ${idle.finishedJobs.toLocaleString('en')} finished Jobs : none`,
    `${idle.commandsWithFinished.toFixed(1)}/s : ${idle.commands.toFixed(1)}/s`,
    ratios.idleWithFinishedJobs.toFixed(2),
  ],
  [
    `Indexed Job of ${completions.toLocaleString('en')} at 200`,
    `${rate(large.podsPerSecond)}, ${large.bytesPerPod.toFixed(1)} bytes of Redis a pod`,
    '',
  ],
  [
    'memory of controller, worker',
    `${large.controllerMegabytes.toFixed(0)} MB, ${large.workerMegabytes.toFixed(0)} MB at the highest`,
    '',
  ],
]);
writeJson({
  ...parted,
  ratios,
  latencyMs: {
    handlerP50: idle.handler.p50,
    handlerP99: idle.handler.p99,
    processP50: idle.process.p50,
    processP99: idle.process.p99,
  },
  bytes: { perPod: large.bytesPerPod },
  memoryMegabytes: { controller: large.controllerMegabytes, worker: large.workerMegabytes },
  idleCommandsPerSecond: { none: idle.commands, withFinishedJobs: idle.commandsWithFinished },
  completedIndexes: large.completedIndexes,
  rounds: played,
});
