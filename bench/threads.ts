/**
 * Handlers in threads beside the same on the event loop, in turn, in one run: what counts are the ratios.
 *
 *   node scripts/launch.js bench/threads.ts [--rounds N]
 */
import { parseArgs } from 'node:util';
import { Bed, median } from './bed.ts';

const THREADS = 2;
const NOOPS = 5_000;
const COMPUTES = 100;

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });

/** Pods per second of a Job at parallelism 2, from the create call to Complete. */
async function podsPerSecond(bed: Bed, handler: string, completions: number): Promise<number> {
  const startedMs = performance.now();
  const spec = {
    runtimeClassName: 'handler',
    restartPolicy: 'Never' as const,
    containers: [{ name: 'main', image: handler }],
  };
  const job = await bed.drover.jobs.create({
    metadata: { generateName: `${handler}-` },
    spec: { completions, parallelism: THREADS, template: { spec } },
  });
  await bed.drover.jobs.wait(job, { for: 'complete', timeoutMs: 600_000 });
  return (completions / (performance.now() - startedMs)) * 1000;
}

const bed = await Bed.open();
try {
  await bed.startController();
  await bed.start('threadWorker', bed.prefix, THREADS);
  for (const handler of ['noop', 'noop-thread']) await podsPerSecond(bed, handler, 500);
  for (const handler of ['compute', 'compute-thread']) await podsPerSecond(bed, handler, 20);
  const [noops, computes]: [number[], number[]] = [[], []];
  for (let round = 1; round <= Number(flags.rounds); round += 1) {
    const rates = {
      noop: await podsPerSecond(bed, 'noop', NOOPS),
      noopThread: await podsPerSecond(bed, 'noop-thread', NOOPS),
      compute: await podsPerSecond(bed, 'compute', COMPUTES),
      computeThread: await podsPerSecond(bed, 'compute-thread', COMPUTES),
    };
    const text = Object.entries(rates).map(([name, rate]) => `${name} ${rate.toFixed(0)}`);
    console.log(`round ${round}, pods/s: ${text.join(', ')}`);
    noops.push(rates.noopThread / rates.noop);
    computes.push(rates.computeThread / rates.compute);
  }
  const line = (ratios: number[]): string =>
    `${median(ratios).toFixed(2)}x (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`;
  console.log(`empty handler, thread : event loop, parallelism ${THREADS}   ${line(noops)}`);
  console.log(`20 ms of computing, the same                 ${line(computes)}`);
} finally {
  await bed.close();
}
