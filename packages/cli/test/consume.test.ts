import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { DeadItem, Drover, ItemResult } from '@drover/sdk/client';
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { consumeCommand } from '../src/commands/consume.ts';
import { Home } from './drover.ts';
import { LocalEngine } from './localEngine.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let home: Home;
let engine: LocalEngine;
let drover: Drover;
let count = 0;
let name: string;

beforeAll(async () => {
  home = await Home.make();
  engine = await LocalEngine.start();
  drover = engine.drover;
});
afterAll(async () => {
  await engine.stop();
  await home.remove();
});
beforeEach(() => {
  count += 1;
  name = `test-${count}`;
});

/** Puts items into the work queue of the test. */
async function enqueue(items: readonly unknown[]): Promise<void> {
  const queue = drover.workQueue(name);
  await queue.enqueue(items, { backoff: { type: 'fixed', delay: 10 } });
  await queue.seal();
}

/** A Job of the test's queue whose pods run this. */
async function start(command: readonly string[], over: object = {}, pod: object = {}) {
  return await drover.jobs.create({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, annotations: { 'drover.dev/work-queue': name } },
    spec: {
      parallelism: 1,
      backoffLimit: 0,
      ...over,
      template: {
        spec: {
          restartPolicy: 'Never',
          containers: [{ name: 'main', command: [...command], workingDir: home.dir }],
          ...pod,
        },
      },
    },
  });
}

const consume = (...words: string[]): string[] => ['drover', 'consume', ...words];
const sh = (script: string): string[] => ['--', 'sh', '-c', script];

/** Runs such a Job to its end, and answers what came of it. */
async function run(command: readonly string[], over: object = {}) {
  const job = await start(command, over);
  await drover.jobs.wait(job, { timeoutMs: 30_000 });
  let log = '';
  for (const pod of await drover.pods.list({ job })) {
    for await (const text of drover.pods.logs(pod)) log += text;
  }
  return { log, ...(await outcomes()) };
}

async function outcomes() {
  const queue = drover.workQueue(name);
  const results: ItemResult[] = [];
  for await (const result of queue.results({ order: 'enqueue' })) results.push(result);
  const dead: DeadItem[] = [];
  for await (const one of queue.deadLetters()) dead.push(one);
  return { results, dead };
}

const idsOf = (items: readonly { readonly id: number }[]): number[] => items.map(({ id }) => id);

describe('one item for each run', () => {
  test('on standard input, which can be opened again; its exit code decides, its output is handed on', async () => {
    await enqueue(['plain text', { n: 2 }, ['list'], 'bad']);
    const script = `
      read -r text < /dev/stdin
      echo "$DROVER_ITEM_ID.$DROVER_ITEM_ATTEMPT: $text"
      [ "$text" != bad ] || { echo "no such thing" > /dev/stderr; exit 3; }`;
    const { log, results, dead } = await run(consume(...sh(script)));
    const lines = log.trimEnd().split('\n').toSorted();
    expect(lines).toEqual([
      '1.1: plain text',
      '2.1: {"n":2}',
      '3.1: ["list"]',
      '4.1: bad',
      '4.2: bad',
      '4.3: bad',
      'no such thing',
      'no such thing',
      'no such thing',
    ]);
    expect(idsOf(results)).toEqual([1, 2, 3]);
    expect(results.every(({ result }) => result === undefined)).toBe(true);
    expect(dead).toMatchObject([{ id: 4, error: 'exit code 3: no such thing', attempts: 3 }]);
  });

  test('whose output is its result; texts as JSON, several at a time', async () => {
    await enqueue(['"a"', 'b\nc', 7, 'large']);
    const script = `read -r text; case $text in *large*) head -c 200000 /dev/zero | tr '\\0' x;; *) printf '%s\\n' "$text";; esac`;
    const { log, results, dead } = await run(
      consume('--result', '--json', '-c', '2', ...sh(script)),
    );
    expect(log).toBe('');
    expect(results.map(({ result }) => result)).toEqual(['"a"', 'b\nc', 7]);
    expect(dead).toMatchObject([
      {
        id: 4,
        attempts: 1,
        error: expect.stringMatching(
          /^its result has 200000 bytes; at most 65536 are kept/,
        ) as string,
      },
    ]);
  });

  test('a program that is not there is no fault of the items', async () => {
    await enqueue(['a']);
    const job = await start(consume('--', 'no-such-program'));
    const { status } = await drover.jobs.wait(job, { timeoutMs: 30_000 });
    expect(status.conditions?.at(-1)).toMatchObject({ type: 'Failed' });
    const [pod] = await drover.pods.list({ job });
    expect(pod?.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 2 });
    expect(await drover.workQueue(name).stats()).toMatchObject({ waiting: 1, delayed: 0, dead: 0 });
  });

  test('a pod that is told to stop lets the run end that it has, and takes no more', async () => {
    await enqueue(['a', 'b', 'c']);
    const [begun, go] = ['begun', 'go'].map((file) => join(home.dir, `${name}.${file}`));
    const job = await start(
      consume(...sh(`touch ${begun}; while [ ! -e ${go} ]; do sleep 0.02; done`)),
    );
    await waitFor(() => existsSync(begun!));
    await drover.jobs.suspend(job);
    await waitFor(async () => (await drover.jobs.get(job)).status.terminating === 1);
    await writeFile(go!, '');
    await waitFor(async () => ((await drover.jobs.get(job)).status.terminating ?? 0) === 0);
    const { results } = await outcomes();
    expect(results).toHaveLength(1);
    // Nothing was counted against the others.
    expect(await drover.workQueue(name).stats()).toMatchObject({
      waiting: 2,
      delayed: 0,
      inFlight: 0,
    });
    await drover.jobs.delete(job);
  });
});

describe('--batch', () => {
  test('gives several lines to a run; one that fails is found, and costs the others one attempt', async () => {
    await enqueue(Array.from({ length: 20 }, (_, i) => (i === 7 ? 'a\nb' : { i })));
    const runs = join(home.dir, `${name}.runs`);
    // Fails when one of its lines is the bad one.
    const script = `text=$(cat); echo "$(echo "$text" | wc -l)" >> ${runs}; case $text in *'"i":13'*) exit 5;; esac`;
    const { results, dead } = await run(consume('--batch', '8', ...sh(script)));
    expect(results).toHaveLength(18);
    expect(dead.toSorted((a, b) => a.id - b.id)).toMatchObject([
      { id: 8, attempts: 1, error: expect.stringMatching(/line breaks/) as string },
      { id: 14, attempts: 3, error: 'exit code 5' },
    ]);
    const sizes = (await readFile(runs, 'utf8')).trim().split('\n').map(Number);
    expect(Math.max(...sizes)).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8);
  });
});

describe('--stream', () => {
  test('gives one run an item after the other, each answered by a line', async () => {
    await enqueue([1, 'two', { three: 3 }]);
    const script = `echo start >&2; while read -r line; do echo "got $line"; done; echo end >&2`;
    const { log, results } = await run(consume('--stream', '--result', ...sh(script)));
    expect(log).toBe('start\nend\n');
    expect(results.map(({ result }) => result)).toEqual(['got 1', 'got two', 'got {"three":3}']);
  });

  test('starts it again for the next item: when it failed with one, and when it had enough', async () => {
    await enqueue(['a', 'bad', 'c', 'd', 'e']);
    // Ends with 0 after two answers, having read no third line.
    const script = `
      for i in 1 2; do
        read -r line || exit 0
        if [ "$line" = bad ]; then echo "can not: $line" >&2; exit 4; fi
        echo "$line"
      done`;
    const { log, results, dead } = await run(consume('--stream', ...sh(script)));
    expect(idsOf(results)).toEqual([1, 3, 4, 5]);
    expect(dead).toMatchObject([
      { id: 2, attempts: 3, error: 'exit code 4: can not: bad (it had not answered)' },
    ]);
    expect(
      log
        .split('\n')
        .filter((line) => /^[a-e]$/.test(line))
        .toSorted(),
    ).toEqual(['a', 'c', 'd', 'e']);
  });

  test('ends when the program writes what answers nothing', async () => {
    await enqueue(['a', 'b']);
    const job = await start(
      consume('--stream', ...sh('while read -r line; do echo one; echo two; done')),
    );
    const { status } = await drover.jobs.wait(job, { timeoutMs: 30_000 });
    expect(status.conditions?.at(-1)).toMatchObject({ type: 'Failed' });
    const [pod] = await drover.pods.list({ job });
    let log = '';
    for await (const text of drover.pods.logs(pod!)) log += text;
    expect(log).toContain('error: the program wrote more lines than it was given');
  });
});

test('programs of a worker that is killed run again elsewhere; each item is settled once', async () => {
  const pool = 'doomed';
  const args = [
    'worker',
    '--redis',
    engine.redis.url,
    '--pool',
    pool,
    '--max-pods',
    '1',
    '--log-level',
    'warn',
  ];
  const workers = ['one', 'two'].map((one) => home.start([...args, '--name', one]));
  const [runs, go] = ['runs', 'go'].map((file) => join(home.dir, `${name}.${file}`));
  await waitFor(
    async () =>
      (await drover.nodes.list()).filter(({ metadata }) => ['one', 'two'].includes(metadata.name))
        .length === 2,
    { timeoutMs: 20_000 },
  );
  await enqueue(Array.from({ length: 10 }, (_, i) => i));
  const script = `echo "$DROVER_ITEM_ID" >> ${runs}; while [ ! -e ${go} ]; do sleep 0.02; done`;
  const job = await start(
    consume('--result', ...sh(script)),
    { parallelism: 2, backoffLimit: 3 },
    { nodeSelector: { 'drover.dev/pool': pool } },
  );
  const read = async () =>
    (await readFile(runs!, 'utf8').catch(() => '')).split('\n').filter(Boolean).map(Number);
  await waitFor(async () => (await read()).length === 2, { timeoutMs: 20_000 });
  const held = await read();
  await workers[0]!.kill('SIGKILL');
  await writeFile(go!, '');
  await drover.jobs.wait(job, { timeoutMs: 30_000 });
  const { results, dead } = await outcomes();
  expect(idsOf(results)).toEqual(Array.from({ length: 10 }, (_, i) => i + 1));
  expect(dead).toEqual([]);
  const ran = await read();
  expect(ran).toHaveLength(11);
  const twice = ran.filter((id, at) => ran.indexOf(id) !== at);
  expect(held).toContain(twice[0]);
  await workers[1]!.kill('SIGTERM');
});

describe('bad input', () => {
  test('is told, all of it', async () => {
    const args = ['--batch', '2', '--stream', '--result', '--', 'cat'];
    const ended = await home.drover(['consume', ...args]);
    expect(ended).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: --batch gives several lines to each run and --stream all of them to one: choose one
--result needs to know which item it is of: not with --batch
there are no items here: \`drover consume\` is run by the pods of a Job that names a work queue, which have DROVER_ITEMS_SOCKET in their environment
`,
    });
  });

  test.each([
    { words: [], want: 'what is to be run for the items? A program is missing', exitCode: 2 },
    { words: ['./nothing'], want: './nothing: there is no such program', exitCode: 2 },
    {
      words: ['cat'],
      want: '/no/socket: the worker does not answer: connect ENOENT /no/socket',
      exitCode: 1,
    },
  ])('$words', async ({ words, want, exitCode }) => {
    vi.stubEnv('DROVER_ITEMS_SOCKET', '/no/socket');
    const ended = consumeCommand(words, { concurrency: 1 });
    await expect(ended).rejects.toMatchObject({ message: want, exitCode });
    vi.unstubAllEnvs();
  });
});
