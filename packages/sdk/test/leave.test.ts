import { fileURLToPath } from 'node:url';
import { spawnNode, startRedis, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const script = fileURLToPath(new URL('fixtures/watchAndClose.ts', import.meta.url));
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await redis.stop();
});

test('a program that watched and waited ends as soon as its client is closed', async () => {
  const program = spawnNode(script, [redis.url]);
  const [, leftMs] = await program.waitForLine(/^left after (\d+) ms$/);
  // A timer of the connection that was closed twice held it for 2,000.
  expect(Number(leftMs)).toBeLessThan(1000);
  expect(await program.exited).toEqual({ code: 0, signal: null });
});
