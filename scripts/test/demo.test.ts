import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { guardFolder, guardProcess, isAlive, waitFor } from '@drover/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT } from '../lib/toolchain.js';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-demo-test-'));
  guardFolder(dir);
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

test('the demo leaves nothing behind when nobody reads on', async () => {
  const demo = spawn(process.execPath, [join(ROOT, 'scripts', 'demo.ts')], {
    env: { ...process.env, TMPDIR: dir },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  guardProcess(demo);
  const ended = new Promise<void>((resolve) => demo.once('close', () => resolve()));
  for await (const line of createInterface({ input: demo.stdout })) {
    if (line.includes('a private Redis')) break;
  }
  const [own = ''] = await readdir(dir);
  const context = await readFile(join(dir, own, 'drover', 'dev.json'), 'utf8');
  const { pid } = JSON.parse(context) as { pid: number };
  demo.stdout.destroy();
  await ended;
  await waitFor(() => !isAlive(pid), { describe: `drover dev ${pid} to end` });
  expect(await readdir(dir)).not.toContain(own);
}, 90_000);
