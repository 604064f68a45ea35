/**
 * This checkout beside another one, in turn, each time with processes and a Redis of its own: what counts are the
 * ratios. CPU time says more than the clock where the machine has other work.
 *
 *   node scripts/launch.js bench/sideBySide.ts --against DIR [--turns N] [--only PART,...]
 *
 * DIR is a checkout that is set up. Best with `chrt -r 10` before it.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Bed, cpuSeconds, median, OWN_DIRECTORY } from './bed.ts';
import { programPodsPerSecond } from './programs.ts';
import { burstJobsPerSecond, handlerLatency, podsPerSecond } from './scenarios.ts';

const { values: flags } = parseArgs({
  options: {
    against: { type: 'string' },
    turns: { type: 'string', default: '7' },
    only: { type: 'string' },
  },
});

/** Figures by name. */
type Figures = Record<string, number>;

interface Part {
  /** Pods or submissions that are measured. */
  readonly count: number;
  /** Runs so many. */
  readonly run: (bed: Bed, count: number) => Promise<Figures>;
  readonly warmUp: number;
}

/** No-op pods of one Job. */
function pods(job: { readonly parallelism: number; readonly indexed?: boolean }): Part['run'] {
  return async (bed, completions) => ({
    'pods/s': await podsPerSecond(bed, { ...job, completions }),
  });
}

const PARTS: Readonly<Record<string, Part>> = {
  p1: { warmUp: 1_500, count: 4_000, run: pods({ parallelism: 1 }) },
  p50: { warmUp: 20_000, count: 60_000, run: pods({ parallelism: 50 }) },
  indexed: { warmUp: 20_000, count: 60_000, run: pods({ parallelism: 50, indexed: true }) },
  submit: {
    warmUp: 40,
    count: 150,
    run: async (bed, count) => {
      const { p50, p99 } = await handlerLatency(bed, count);
      return { 'p50 ms': p50, 'p99 ms': p99 };
    },
  },
  burst: {
    warmUp: 50,
    count: 1_000,
    run: async (bed, count) => ({ 'Jobs/s': await burstJobsPerSecond(bed, count) }),
  },
  programs: {
    warmUp: 300,
    count: 1_000,
    run: async (bed, count) => ({ 'pods/s': await programPodsPerSecond(bed, count, 4) }),
  },
  // The CPU time is that of the first worker.
  workers: {
    warmUp: 1_000,
    count: 60_000,
    run: async (bed, count) => {
      const second = await bed.startWorker(50);
      const rate = await podsPerSecond(bed, { completions: count, parallelism: 100 });
      await bed.stop(second);
      return { 'pods/s of two': rate };
    },
  },
};

/** One turn of one checkout. */
async function play(directory: string, parts: readonly string[]): Promise<Figures> {
  const bed = await Bed.open(directory);
  try {
    const controller = await bed.startController();
    const worker = await bed.startWorker(50);
    const redis = bed.redis.pid;
    if (redis === null) throw new Error('the CPU time of this Redis is not known');
    const cpu = (): Figures => ({
      redis: cpuSeconds(redis),
      worker: cpuSeconds(worker.pid),
      controller: cpuSeconds(controller.pid),
      client: cpuSeconds(process.pid),
    });
    const figures: Figures = {};
    for (const part of parts) {
      const { warmUp, count, run } = PARTS[part]!;
      await run(bed, warmUp);
      const [before, commandsBefore] = [cpu(), await bed.commandCount()];
      const seen = await run(bed, count);
      const [after, commands] = [cpu(), (await bed.commandCount()) - commandsBefore];
      for (const [name, value] of Object.entries(seen)) figures[`${part} ${name}`] = value;
      for (const [name, seconds] of Object.entries(after)) {
        figures[`${part} ${name} us`] = ((seconds - before[name]!) / count) * 1e6;
      }
      figures[`${part} commands`] = commands / count;
    }
    return figures;
  } finally {
    await bed.close();
  }
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

if (flags.against === undefined) fail('--against DIR is missing: another checkout of Drover');
const parts = flags.only?.split(',') ?? Object.keys(PARTS);
const unknown = parts.filter((part) => !(part in PARTS));
if (unknown.length > 0) {
  fail(`--only ${unknown.join(', ')}: must be among ${Object.keys(PARTS).join(', ')}`);
}
const turns = Number(flags.turns);
if (!Number.isInteger(turns) || turns < 1) fail(`--turns ${flags.turns}: must be an integer >= 1`);
const sides = [OWN_DIRECTORY, resolve(flags.against)];
const seen: Figures[][] = [[], []];
for (let turn = 0; turn < turns; turn += 1) {
  process.stderr.write(`turn ${turn + 1} of ${turns} ...\n`);
  // Neither is always the first.
  for (const side of turn % 2 === 0 ? [0, 1] : [1, 0]) {
    seen[side]!.push(await play(sides[side]!, parts));
  }
}
const [own, other] = seen;
console.log('medians                    this       other    ratio   of each turn');
for (const name of Object.keys(own![0]!)) {
  const [a, b] = [own!, other!].map((list) => list.map((figures) => figures[name]!));
  const [here, there] = [median(a!), median(b!)];
  const each = a!.map((value, turn) => (value / b![turn]!).toFixed(2)).join(' ');
  const digits = here < 100 ? 2 : 0;
  console.log(
    `${name.padEnd(20)} ${here.toFixed(digits).padStart(10)}  ${there.toFixed(digits).padStart(10)}  ` +
      `${(here / there).toFixed(3).padStart(7)}   ${each}`,
  );
}
