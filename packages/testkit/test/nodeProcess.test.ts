import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isAlive, spawnNode, waitFor } from '../src/index.ts';

const child = fileURLToPath(new URL('fixtures/child.ts', import.meta.url));
const parent = fileURLToPath(new URL('fixtures/parent.ts', import.meta.url));

test('spawnNode runs TypeScript with arguments and environment and collects the lines', async () => {
  const started = spawnNode(child, ['a', 'b'], { env: { EXTRA: 'yes' } });
  expect(await started.exited).toEqual({ code: 0, signal: null });
  expect(started.lines).toEqual([{ stream: 'stdout', text: 'args=a,b extra=yes' }]);
  expect(started.isOver).toBe(true);
});

test('waitForLine finds lines to come and lines that came', async () => {
  const started = spawnNode(child, ['stay']);
  const first = await started.waitForLine(/^args=(\w+)/);
  expect(first[1]).toBe('stay');
  expect((await started.waitForLine(/extra=(\w+)/))[1]).toBe('none');
  expect(await started.kill()).toEqual({ code: 7, signal: null });
  expect(started.output('stderr')).toBe('got SIGTERM\n');
});

test('waitForLine fails at once when the process ends without the line', async () => {
  const started = spawnNode(child, ['x']);
  await expect(started.waitForLine(/never/)).rejects.toThrow(/ended with 0\nargs=x/);
});

test('waitForLine fails after its time', async () => {
  const started = spawnNode(child, ['stay']);
  await started.waitForLine(/^args/);
  await expect(started.waitForLine(/never/, 20)).rejects.toThrow(/waited 20 ms/);
  expect(await started.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
});

test('a spawned process ends with its test process, even when that is killed with SIGKILL', async () => {
  const started = spawnNode(parent);
  const [, pid] = await started.waitForLine(/^child (\d+)$/);
  await started.kill('SIGKILL');
  await waitFor(() => !isAlive(Number(pid)), { describe: `process ${pid} to end` });
});
