import { execFileSync, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Drover } from '@drover/sdk/client';
import type { NodeProcess } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { contextPath, type DevContext } from '../src/engine/context.ts';
import { Home } from './drover.ts';

const examples = fileURLToPath(new URL('../../../examples', import.meta.url));
let home: Home;
let dev: NodeProcess;

beforeAll(async () => {
  home = await Home.make();
  const files = ['handlers.ts', 'text-index/handlers.ts'].map((name) => join(examples, name));
  const handlers = files.flatMap((path) => ['--handlers', path]);
  dev = await home.dev([...handlers, '--max-pods', '4']);
}, 40_000);

afterAll(async () => {
  await dev.kill('SIGTERM');
  await home.remove();
});

async function complete(name: string): Promise<void> {
  const wait = await home.drover(['wait', `job/${name}`, '--for', 'complete', '--timeout', '30s']);
  expect(wait).toMatchObject({ code: 0, stderr: '' });
}

test('indexed.yaml draws its picture', async () => {
  await home.drover(['apply', '-f', join(examples, 'indexed.yaml')]);
  await complete('mandelbrot');
  const { stdout } = await home.drover(['logs', 'job/mandelbrot', '--all-pods']);
  const rows = stdout.trimEnd().split('\n');
  expect(rows).toHaveLength(20);
  for (const row of rows) expect(row).toMatch(/^\[pod\/mandelbrot-\d-\w{5}\] .{72}$/);
}, 40_000);

test('handler.yaml counts primes with the handlers of handlers.ts', async () => {
  await home.drover(['apply', '-f', join(examples, 'handler.yaml')]);
  await complete('primes');
  const { stdout } = await home.drover(['get', 'pods', '-l', 'job-name=primes', '-o', 'json']);
  const { items } = JSON.parse(stdout) as {
    items: { metadata: { annotations: Record<string, string> } }[];
  };
  const counts = items.map(({ metadata }) => {
    return (JSON.parse(metadata.annotations['drover.dev/result'] ?? '{}') as { count: number })
      .count;
  });
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(78_498);
}, 40_000);

test('work-queue.yaml takes every file once, from the queue that it says how to make', async () => {
  const queue = join(home.dir, 'queue');
  const text = (await readFile(join(examples, 'work-queue.yaml'), 'utf8')).replaceAll(
    '/tmp/drover-queue',
    queue,
  );
  const command = /^# +(mkdir .*)$/m.exec(text)?.[1] ?? '';
  execFileSync('sh', ['-c', command]);
  await home.drover(['apply', '-f', '-'], { input: text });
  await complete('work-queue');
  const { stdout } = await home.drover(['logs', 'job/work-queue', '--all-pods']);
  const taken = [...stdout.matchAll(/done: (\S+)/g)].map(([, name]) => name ?? '');
  const items = Array.from({ length: 20 }, (_, at) => `item-${at + 1}`);
  expect(taken.toSorted()).toEqual(items.toSorted());
}, 40_000);

test('patterns/pod-per-item.yaml has each number on the standard input of a pod of its own', async () => {
  const input = Array.from({ length: 8 }, (_, at) => `${1_000_000_007 + at}\n`).join('');
  await home.drover(['enqueue', 'numbers', '--lines', '-'], { input });
  await home.drover(['apply', '-f', join(examples, 'patterns/pod-per-item.yaml')]);
  await complete('pod-per-item');
  const { stdout } = await home.drover(['logs', 'job/pod-per-item', '--all-pods']);
  const lines = stdout.trimEnd().split('\n');
  expect(new Set(lines.map((line) => /\S+\] (\d+): /.exec(line)?.[1])).size).toBe(8);
  expect(stdout).toMatch(/1000000007: 1000000007$/m);
}, 40_000);

test('sidecar.yaml: its programs work together, and the sidecar is stopped at the end', async () => {
  await home.drover(['apply', '-f', join(examples, 'sidecar.yaml')]);
  await complete('sidecar');
  const { stdout } = await home.drover(['logs', 'job/sidecar', '--all-containers']);
  expect(stdout).toBe(
    'served 2 requests\nthe odd numbers make 250000\nthe even numbers make 250500\n',
  );
}, 40_000);

test('text-index finds the files that have all of the words', async () => {
  await home.write('one.txt', 'The lease of a slot; a lease is short.');
  await home.write('two.txt', 'A lease, and no more.');
  await home.write('three.txt', 'Slot after slot.');
  const glob = join(home.dir, '*.txt');
  await home.drover(['enqueue', 'texts', '--glob', glob, '--key', '.', '--seal']);
  await home.drover(['apply', '-f', join(examples, 'text-index/job.yaml')]);
  await complete('text-index');
  const results = await home.drover(['queue', 'results', 'texts', '-o', 'ndjson']);
  const lookup = (...words: string[]): string =>
    execFileSync(process.execPath, [join(examples, 'text-index/lookup.ts'), ...words], {
      input: results.stdout,
      encoding: 'utf8',
    });
  expect(lookup('lease')).toBe(
    `    2  ${join(home.dir, 'one.txt')}\n    1  ${join(home.dir, 'two.txt')}\n`,
  );
  expect(lookup('Slot', 'lease')).toBe(`    3  ${join(home.dir, 'one.txt')}\n`);
}, 40_000);

/** Not on every machine; the protocol is tested without them. */
const hasTools = ['curl', 'jq', 'python3'].every(
  (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0,
);

test.runIf(hasTools)(
  'programs: with curl, in Python, and with one that knows nothing of items',
  async () => {
    const path = await home.write('words', 'one two\nthree\n');
    const context = JSON.parse(await readFile(contextPath({ XDG_STATE_HOME: home.dir }), 'utf8'));
    await using drover = new Drover({ connection: (context as DevContext).redisUrl });
    const text = await readFile(join(examples, 'programs/jobs.yaml'), 'utf8');
    const results: unknown[] = [];
    const errors: string[] = [];
    const queues = ['for-curl', 'for-python', 'for-wc'].map((name) => drover.workQueue(name));
    for (const queue of queues) {
      await queue.enqueue([path, path, '/no/such/file'], { attempts: 1 });
      await queue.seal();
    }
    await home.drover(['apply', '-f', '-'], {
      input: text.replaceAll('[examples/', `[${examples}/`),
    });
    const jobs = ['checksums', 'words', 'lines'].map((name) => drover.jobs.wait(name));
    await Promise.all(jobs);
    for (const queue of queues) {
      for await (const { result } of queue.results()) results.push(result);
      for await (const { error } of queue.deadLetters()) errors.push(error);
    }
    const sum = { checksum: 112545809, bytes: 14 };
    const lines = `2 ${path}`;
    expect(results).toEqual([sum, sum, { words: 3 }, { words: 3 }, lines, lines]);
    expect(errors).toEqual([
      'can not read /no/such/file',
      "[Errno 2] No such file or directory: '/no/such/file'",
      expect.stringMatching(/^exit code 123:.*wc: \/no\/such\/file: No such file/s) as string,
    ]);
  },
  40_000,
);

test('patterns/template-expansion.yaml makes a Job of each item, by the line that it names', async () => {
  const text = await readFile(join(examples, 'patterns/template-expansion.yaml'), 'utf8');
  const line = /^# +(for item .*)$/m.exec(text)?.[1] ?? '';
  const expanded = line.replace('| drover apply -f -', '').replaceAll('examples/', `${examples}/`);
  const manifests = execFileSync('sh', ['-c', expanded.replace('; done', '; echo ---; done')]);
  await home.drover(['apply', '-f', '-'], { input: manifests.toString() });
  const wait = ['wait', '-l', 'jobgroup=fruit', '--for', 'complete', '--timeout', '30s'];
  expect(await home.drover(wait)).toMatchObject({ code: 0 });
  const logs = await home.drover(['logs', 'job/process-cherry']);
  expect(logs.stdout).toBe('processed cherry\n');
}, 40_000);

test('patterns/static-assignment.yaml: each pod does the part of its index', async () => {
  await home.drover(['apply', '-f', join(examples, 'patterns/static-assignment.yaml')]);
  await complete('static-assignment');
  const { stdout } = await home.drover(['logs', 'job/static-assignment', '--all-pods']);
  const parts = [...stdout.matchAll(/part (\d: \w+)/g)].map(([, part]) => part ?? '');
  expect(parts.toSorted()).toEqual(['0: ALPHA', '1: BETA', '2: GAMMA', '3: DELTA', '4: EPSILON']);
}, 40_000);

test('patterns/variable-pod-count.yaml: pods take items until none is left', async () => {
  const items = join(examples, 'patterns/fruit.txt');
  await home.drover(['enqueue', 'fruit', '--lines', items, '--seal']);
  await home.drover(['apply', '-f', join(examples, 'patterns/variable-pod-count.yaml')]);
  await complete('variable-pod-count');
  const results = ['queue', 'results', 'fruit', '--order', 'enqueue', '-o', 'ndjson'];
  const { stdout } = await home.drover(results);
  const lines = stdout.trimEnd().split('\n');
  const fruit = lines.map((line) => (JSON.parse(line) as { result: string }).result);
  expect(fruit).toEqual((await readFile(items, 'utf8')).trimEnd().toUpperCase().split('\n'));
}, 40_000);

test('pi.yaml is a valid Job', async () => {
  const applied = await home.drover(['apply', '--dry-run', '-f', join(examples, 'pi.yaml')]);
  expect(applied).toMatchObject({ code: 0, stdout: 'job.batch/pi created (dry run)\n' });
});
