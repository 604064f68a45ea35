import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { waitFor, type NodeProcess } from '@drover/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Home } from './drover.ts';

let home: Home;
let dev: NodeProcess | null = null;

beforeEach(async () => {
  home = await Home.make();
});

afterEach(async () => {
  if (dev !== null && !dev.isOver) await dev.kill('SIGTERM');
  dev = null;
  await home.remove();
});

/** Says which version it is; with a file `hold` in its way it waits until that is gone. */
const HANDLERS = `import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { defineHandler } from '@drover/sdk';
import { VERSION } from './version.ts';

export const tell = defineHandler('tell', async ({ args, log }) => {
  log('begun');
  while (args[0] !== undefined && existsSync(args[0])) await delay(20);
  return VERSION as string;
});
`;

const CHANGED = /new pods run the changed handlers/;
const REFUSED = /the old ones stay until that is mended/;

async function startDev(args: readonly string[] = []): Promise<void> {
  await home.write('version.ts', "export const VERSION = 'first';\n");
  const file = await home.write('handlers.ts', HANDLERS);
  dev = await home.dev(['--handlers', file, '--log-level', 'info', ...args]);
}

/** Starts a Job of one pod of the handler. */
async function start(name: string, args: readonly string[] = []): Promise<void> {
  const spec = {
    restartPolicy: 'Never',
    runtimeClassName: 'handler',
    containers: [{ name: 'main', image: 'tell', args }],
  };
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { backoffLimit: 0, template: { spec } },
  };
  const applied = await home.drover(['apply', '-f', '-'], { input: JSON.stringify(job) });
  expect(applied.stderr).toBe('');
}

/** Waits for the Job and answers what its pod returned. */
async function result(name: string): Promise<unknown> {
  const ended = await home.drover(['wait', name, '--for', 'complete', '--timeout', '20s']);
  expect(ended.code).toBe(0);
  const { stdout } = await home.drover(['get', 'pods', '-l', `job-name=${name}`, '-o', 'json']);
  const { items } = JSON.parse(stdout) as {
    items: { metadata: { annotations: Record<string, string> } }[];
  };
  return JSON.parse(items[0]?.metadata.annotations['drover.dev/result'] ?? 'null');
}

async function nodes(): Promise<string[]> {
  const { stdout } = await home.drover(['get', 'nodes', '-o', 'name']);
  return stdout.trim().split('\n');
}

test('changed handlers run the new pods; a pod that runs ends with the old ones', async () => {
  await startDev();
  const hold = await home.write('hold', '');
  await start('old', [hold]);
  await waitFor(async () => (await home.drover(['logs', 'job/old'])).stdout === 'begun\n', {
    timeoutMs: 10_000,
  });

  // Not the file that was named, but one that it imports.
  await writeFile(join(home.dir, 'version.ts'), "export const VERSION = 'second';\n");
  await dev!.waitForLine(CHANGED, 40_000);
  expect(await nodes()).toEqual(['node/dev-1', 'node/dev-1.1']);
  await start('new');
  expect(await result('new')).toBe('second');

  await rm(hold);
  expect(await result('old')).toBe('first');
  await waitFor(async () => (await nodes()).join() === 'node/dev-1.1', { timeoutMs: 10_000 });
}, 150_000);

test('handlers that can not be loaded change nothing, and are tried again when they are mended', async () => {
  await startDev(['--workers', '2']);
  await home.write('version.ts', "\nexport const VERSION = 'second;\n");
  await dev!.waitForLine(REFUSED, 40_000);
  expect(dev!.output('stderr')).toMatch(/^error: --handlers .*\(\/.*\/version\.ts:2\)$/m);
  // One worker tries, not each of them.
  expect(dev!.output('stderr').match(/^error:/gm)).toHaveLength(1);
  await start('one');
  expect(await result('one')).toBe('first');

  await home.write('version.ts', "import './not-yet.ts';\nexport const VERSION = 'third';\n");
  await waitFor(() => /Cannot find module .*not-yet/.test(dev!.output('stderr')));
  // The file that was missing is waited for, too.
  await home.write('not-yet.ts', 'export {};\n');
  await dev!.waitForLine(CHANGED, 40_000);
  await start('two');
  expect(await result('two')).toBe('third');
}, 150_000);

test('a worker that dies while its handlers are broken comes back when they are mended', async () => {
  await startDev();
  await home.write('version.ts', 'broken(');
  await dev!.waitForLine(REFUSED, 40_000);
  const { stdout } = await home.drover(['get', 'nodes', '-o', 'json']);
  process.kill(Number(/"drover\.dev\/pid": "(\d+)"/.exec(stdout)?.[1]), 'SIGKILL');
  await dev!.waitForLine(/can not be started until its handlers are mended/, 40_000);
  await home.write('version.ts', "export const VERSION = 'mended';\n");
  await dev!.waitForLine(CHANGED, 40_000);
  await start('again');
  expect(await result('again')).toBe('mended');
}, 150_000);

test('--no-reload goes on with what it has', async () => {
  await startDev(['--no-reload']);
  await home.write('version.ts', "export const VERSION = 'second';\n");
  await start('still');
  expect(await result('still')).toBe('first');
  expect(dev!.output('stderr')).not.toMatch(/the handlers changed/);
}, 60_000);
