import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';

import { BlockWatch } from '../../src/handler/blockWatch.ts';

let watch: BlockWatch;

afterEach(() => {
  watch.stop();
});

function block(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

test('an event loop that stood still is told once, with what helps', async () => {
  const logged: { blockedMs: number; msg: string }[] = [];
  watch = new BlockWatch(pino({}, { write: (line) => void logged.push(JSON.parse(line)) }));
  watch.start();
  block(1_700);
  await waitFor(() => logged.length > 0);
  expect(logged[0]?.blockedMs).toBeGreaterThanOrEqual(1_000);
  expect(logged[0]?.msg).toMatch(
    /^nothing else ran in this worker for \d\.\d s.*isolation: 'thread'$/,
  );
  block(1_700);
  // A timer that is due later has had its turn after the next look.
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(logged).toHaveLength(1);
});
