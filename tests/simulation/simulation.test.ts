/**
 * Random histories of two controllers, some workers and some Jobs, with crashes, blocked processes
 * and messages that are lost, repeated or late, on a real Redis with a clock of the test's.
 *
 * After every script the invariants of DESIGN.md section 3 are checked; when the faults have
 * ceased, every Job must reach its right end, with exact counts. A failure prints its seed:
 * `SIMULATION_SEED=n` repeats it (`SIMULATION_TRACE=1`: with the whole trace), `SIMULATION_SEEDS=n`
 * makes a long run.
 */
import { startRedis, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Simulation } from './simulation.ts';

const ONLY = process.env['SIMULATION_SEED'];
const WANTED = process.env['SIMULATION_SEEDS'];
const FIRST = ONLY === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(ONLY);
const COUNT = ONLY === undefined ? Number(WANTED ?? 40) : 1;
/** Without a wish for more, as many as fit into this, but some in any case. */
const LIMIT_MS = WANTED === undefined ? 12_000 : Number.POSITIVE_INFINITY;
const LEAST = 5;

let server: TestRedis;
beforeAll(async () => {
  server = await startRedis({ unixSocket: true });
});
afterAll(() => server.stop());

test(
  `histories from seed ${FIRST} on keep the invariants, and every Job comes to its right end`,
  async () => {
    const redis = server.connect();
    const begunMs = performance.now();
    for (let i = 0; i < COUNT; i++) {
      if (i >= LEAST && performance.now() - begunMs > LIMIT_MS) break;
      const simulation = await Simulation.open(FIRST + i, redis);
      await expect(simulation.run()).resolves.toBeUndefined();
      await redis.flushall();
    }
  },
  60_000 + COUNT * 5_000,
);
