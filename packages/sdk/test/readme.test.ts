import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { spawnNode, startRedis, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../../..');
const script = join(here, 'readmeExample.generated.ts');
const project = join(here, 'readmeExample.generated.json');
let redis: TestRedis;
let code: string;

beforeAll(async () => {
  redis = await startRedis({ config: {} });
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  await writeFile(script, code);
  const config = { extends: './tsconfig.json', include: [], files: [script] };
  await writeFile(project, JSON.stringify(config));
});

afterAll(async () => {
  await rm(script, { force: true });
  await rm(project, { force: true });
  await redis.stop();
});

test('the example of the README has about 30 lines', () => {
  const lines = code.trim().split('\n');
  expect(lines.length).toBeGreaterThan(20);
  expect(lines.length).toBeLessThanOrEqual(36);
});

test('the example of the README is right by its types', async () => {
  const tsc = join(root, 'node_modules/.bin/tsc');
  const check = promisify(execFile)(tsc, ['--project', project, '--incremental', 'false']);
  await expect(check).resolves.toMatchObject({ stdout: '' });
}, 60_000);

test('the example of the README does what it says', async () => {
  const example = spawnNode(script, [], { env: { DROVER_REDIS_URL: redis.url } });
  expect(await example.exited).toEqual({ code: 0, signal: null });
  const lines = example.output('stdout').split('\n');
  expect(lines).toContain('completed: 0-4');
  for (const square of [0, 1, 4, 9, 16]) expect(lines).toContain(String(square));
}, 30_000);
