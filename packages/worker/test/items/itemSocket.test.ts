import { existsSync } from 'node:fs';
import {
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { MAX_ITEM_RESULT_BYTES } from '@drover/shared';
import { readPodLog } from '@drover/store';
import { spawnNode, waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { WorkerOptions } from '../../src/index.ts';
import { MAX_SOCKET_PATH_BYTES, SocketDirectory } from '../../src/items/socket/socketDirectory.ts';
import type { TestEngine, TestJob } from '../support/engine.ts';
import { SocketClient, type ShownItem } from '../support/socketClient.ts';
import { Workers } from '../support/workers.ts';
import { TestWorkQueue } from '../support/workQueue.ts';

const WORKER = new URL('../fixtures/worker.ts', import.meta.url).pathname;
let workers: Workers;
let engine: TestEngine;
let queue: TestWorkQueue;
let directory: string;

beforeAll(async () => {
  workers = await Workers.start();
  directory = await realpath(await mkdtemp(join(tmpdir(), 'drover-items-test-')));
});
afterEach(async () => {
  await workers.clear();
});
afterAll(async () => {
  await workers.stop();
  await rm(directory, { recursive: true, force: true });
});

async function setUp(options: Partial<WorkerOptions> = {}): Promise<void> {
  engine = await workers.engine({ slotLockMs: 2_000, slotStalledMs: 500 });
  queue = await TestWorkQueue.create(engine);
  const crashLoop = { baseMs: 1, capMs: 1 };
  await workers.worker(engine, { runtimes: ['process'], maxPods: 4, crashLoop, ...options });
}

/** Says where its socket is, in `$NAME.socket`, and ends with the code that it finds in `$NAME.end`. */
const SCRIPT = `
  cd "$DIR"; echo "$DROVER_ITEMS_SOCKET" > "$NAME.new"; mv "$NAME.new" "$NAME.socket"
  while [ ! -e "$NAME.end" ]; do sleep 0.02; done
  code=$(cat "$NAME.end"); rm "$NAME.end" "$NAME.socket"; exit "$code"`;

function program(name: string): { command: readonly string[]; env: object[] } {
  const variables = { DIR: directory, NAME: name };
  return {
    command: ['sh', '-c', SCRIPT],
    env: Object.entries(variables).map(([key, value]) => ({ name: key, value })),
  };
}

/** A pod whose program is played by the test. */
async function start(name: string, over: Partial<TestJob> = {}): Promise<Pod> {
  const { command: run, env } = program(name);
  const uid = await engine.createJob({
    run,
    env,
    completions: null,
    workQueue: queue.name,
    ...over,
  });
  await engine.offer(uid, 1);
  return { uid, client: await clientOf(name), end: (code) => endProgram(name, code) };
}

interface Pod {
  readonly uid: string;
  readonly client: SocketClient;
  /** Ends its program. */
  end(code: number): Promise<void>;
}

async function clientOf(name: string): Promise<SocketClient> {
  const file = join(directory, `${name}.socket`);
  await waitFor(() => existsSync(file));
  return new SocketClient((await readFile(file, 'utf8')).trim());
}

async function endProgram(name: string, code: number): Promise<void> {
  const file = join(directory, `${name}.end`);
  await writeFile(`${file}.new`, String(code));
  await rename(`${file}.new`, file);
}

/** Takes and completes what is left, until all is done. */
async function completeRest(client: SocketClient): Promise<ShownItem[]> {
  const taken: ShownItem[] = [];
  for (;;) {
    const { status, body } = await client.post('/next?max=10&wait=20');
    if (status === 410) return taken;
    const { items } = body as { items: ShownItem[] };
    for (const { id } of items) await client.post(`/items/${id}/complete`);
    taken.push(...items);
  }
}

function idsOf(items: readonly { readonly id: number }[]): number[] {
  return items.map(({ id }) => id).toSorted((a, b) => a - b);
}

const ended = (uid: string) => waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });

const notInHand = (id: number) => ({
  status: 409,
  body: {
    error: `this pod does not have item ${id} in hand: it was completed or failed before, or it is another pod's`,
  },
});

describe('the socket of a program', () => {
  test('gives items, takes what became of them, and says when all are done', async () => {
    await setUp();
    const { uid, client, end } = await start('all');
    await queue.enqueue([{ n: 1 }]);
    const [first] = await client.next();
    await queue.enqueue(['two']);
    const [second] = await client.next();
    await queue.enqueue([3, null]);
    expect([first, second]).toEqual([
      { id: 1, key: null, attempt: 1, data: { n: 1 } },
      { id: 2, key: null, attempt: 1, data: 'two' },
    ]);
    expect(await client.ask('GET', '/items')).toEqual({
      status: 200,
      body: { items: [first, second] },
    });
    expect(await client.post('/items/1/complete', { pages: 3 })).toEqual({ status: 204 });
    expect(await client.post('/items/2/progress', { done: 1, total: 2 })).toEqual({ status: 204 });
    await waitFor(async () => (await engine.shard.podNotes(uid, [1])).get(1)?.progress === '1/2');
    expect(await client.post('/items/2/extend')).toEqual({ status: 204 });
    expect(await client.post('/items/2/fail', { error: 'not yet' })).toEqual({ status: 204 });
    const rest = await client.next(10);
    for (const { id } of rest) await client.post(`/items/${id}/fail`, { retry: false });
    await queue.seal();
    // Whatever is left: the one that failed comes again.
    const taken = await completeRest(client);
    expect(taken).toContainEqual({ id: 2, key: null, attempt: 2, data: 'two' });
    expect(await client.post('/next')).toEqual({
      status: 410,
      body: { error: 'all items are done' },
    });
    await end(0);
    expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
    const outcomes = (await queue.outcomes()).toSorted((a, b) => a.id - b.id);
    expect(outcomes.slice(0, 2)).toMatchObject([
      { id: 1, outcome: 'completed', result: '{"pages":3}' },
      { id: 2, outcome: 'completed', result: '', attempts: 2 },
    ]);
    const [dead] = (await queue.dead()).values();
    expect(dead).toMatchObject({ error: 'its program said that it failed', attempts: 1 });
    await queue.emptied();
    expect(existsSync(client.path)).toBe(false);
  });

  test('says what is wrong with a request, and nothing happens', async () => {
    await setUp();
    await queue.enqueue(['a']);
    const { client, end, uid } = await start('wrong');
    await client.next();
    const large = 'x'.repeat(MAX_ITEM_RESULT_BYTES);
    const cases: [string, string, unknown, number, RegExp][] = [
      [
        'POST',
        '/next?max=0&wait=1.5&n=2',
        undefined,
        400,
        /max: .* 1 to 1000 .*"0"; wait: .*3600 \(seconds\).*"1\.5"; n: unknown/,
      ],
      ['POST', '/next?max=2&max=3', undefined, 400, /max: given twice/],
      ['POST', '/next', '{}', 400, /empty body/],
      ['GET', '/next', undefined, 405, /POST is expected, not GET/],
      ['POST', '/items', undefined, 405, /GET is expected/],
      ['POST', '/more', undefined, 404, /no such path; there are POST \/next/],
      ['POST', '/items/one/complete', undefined, 400, /"one" is not the id/],
      ['POST', '/items/1/complete?now', undefined, 400, /no parameters/],
      ['POST', '/items/1/complete', '{"pages":', 400, /not JSON/],
      ['POST', '/items/1/complete', Buffer.from('"\xff"', 'latin1'), 400, /not UTF-8/],
      ['POST', '/items/1/complete', large, 400, /not JSON/],
      [
        'POST',
        '/items/1/complete',
        JSON.stringify(large),
        413,
        /65538 bytes as JSON; at most 65536/,
      ],
      ['POST', '/items/1/complete', JSON.stringify(large.repeat(8)), 413, /more than 131072 bytes/],
      ['POST', '/items/1/fail', '[]', 400, /object .* got a list/],
      [
        'POST',
        '/items/1/fail',
        { error: 7, retry: 'no', why: '' },
        400,
        /error: .* number 7; retry: .* string "no"; why: unknown/,
      ],
      ['POST', '/items/1/progress', '2', 400, /fraction from 0 to 1.* got 2/],
      ['POST', '/items/1/progress', { done: 1 }, 400, /"done", "total"/],
      ['POST', '/items/1/extend', '60', 400, /empty body/],
    ];
    for (const [method, path, body, status, says] of cases) {
      const answer = await client.ask(method, path, body);
      expect(answer, path).toEqual({
        status,
        body: { error: expect.stringMatching(says) as string },
      });
    }
    expect((await queue.read()).counts.settled).toBe(0);
    await end(0);
    await ended(uid);
  });

  test('refuses what was said before, and items of another pod', async () => {
    await setUp();
    await queue.enqueue(['a', 'b', 'c']);
    const one = await start('one');
    const other = await start('other');
    const [first] = await one.client.next();
    const [second] = await other.client.next();
    expect(new Set([first?.id, second?.id]).size).toBe(2);
    const [mine, theirs] = [first!.id, second!.id];
    expect(await one.client.post(`/items/${theirs}/complete`)).toEqual(notInHand(theirs));
    expect(await other.client.post(`/items/${mine}/fail`)).toEqual(notInHand(mine));
    // Twice at the same time: only one word counts.
    const answers = await Promise.all([
      one.client.post(`/items/${mine}/complete`, '"first"'),
      one.client.post(`/items/${mine}/complete`, '"second"'),
    ]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204, 409]));
    for (const what of ['complete', 'fail', 'extend', 'progress']) {
      expect(await one.client.post(`/items/${mine}/${what}`)).toEqual(notInHand(mine));
    }
    await Promise.all([one.end(0), other.end(0)]);
    await ended(one.uid);
    await ended(other.uid);
    expect(idsOf(await queue.outcomes())).toEqual([1, 2]);
  });

  test('is that of each container, whose end decides about what it had', async () => {
    await setUp();
    await queue.enqueue(['a', 'b', 'c']);
    const container = (name: string) => ({ name, ...program(name) });
    const names = ['good', 'bad', 'long'];
    const uid = await engine.createJob({
      run: ['true'],
      completions: null,
      workQueue: queue.name,
      pod: { containers: names.map(container) },
    });
    await engine.offer(uid, 1);
    const [good, bad, long] = await Promise.all(names.map(clientOf));
    const ids = new Map<string, number>();
    for (const [name, client] of [
      ['good', good],
      ['bad', bad],
      ['long', long],
    ] as const) {
      ids.set(name, (await client!.next())[0]!.id);
    }
    await endProgram('good', 0);
    expect((await queue.settled(1)).counts).toMatchObject({ completed: 1, dead: 0 });
    await endProgram('bad', 3);
    // It comes again, and what the third one has does not.
    const [again] = await long!.next();
    expect(again).toMatchObject({ id: ids.get('bad'), attempt: 2 });
    // Any container of the pod may say it.
    expect((await long!.post(`/items/${again!.id}/fail`, { retry: false })).status).toBe(204);
    await endProgram('long', 0);
    await ended(uid);
    expect((await queue.read()).counts).toMatchObject({ completed: 2, dead: 1 });
    await queue.emptied();
  });

  test('of a program that failed: its item is tried again by its next run', async () => {
    await setUp();
    await queue.enqueue(['a']);
    await queue.seal();
    const { uid, client, end } = await start('again', { restartPolicy: 'OnFailure' });
    expect(await client.next()).toMatchObject([{ attempt: 1 }]);
    const waiting = client.post('/next').catch((error: unknown) => error);
    await end(7);
    // Its connections end with it.
    expect(await waiting).toBeInstanceOf(Error);
    // The file of the first run is gone when its connections end.
    const next = await clientOf('again');
    expect(await next.next()).toMatchObject([{ attempt: 2 }]);
    await end(0);
    expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
    expect((await queue.read()).counts).toMatchObject({ settled: 1, completed: 1 });
  });

  test('of a pod that is told to stop: no more items, and what it has goes back, not counted', async () => {
    await setUp();
    await queue.enqueue(['a']);
    const { uid, client, end } = await start('stopped', {
      run: ['sh', '-c', `trap '' TERM; ${SCRIPT}`],
      graceSeconds: 20,
    });
    await client.next();
    const waiting = client.post('/next');
    await engine.stop(uid);
    const stopped = {
      status: 503,
      body: {
        error: 'the pod is told to stop: there are no more items for it',
        graceSeconds: expect.closeTo(18, -1) as number,
      },
    };
    expect(await waiting).toEqual(stopped);
    expect(await client.post('/next')).toEqual(stopped);
    await end(0);
    await waitFor(async () => (await engine.pods(uid)).length === 0);
    expect((await queue.read()).counts.settled).toBe(0);
    const other = await start('other');
    expect(await other.client.next()).toMatchObject([{ id: 1, attempt: 1 }]);
    await other.end(0);
    await ended(other.uid);
  });

  test('gives nothing to who does not wait any more', async () => {
    await setUp();
    const { uid, client, end } = await start('impatient');
    const leaving = new AbortController();
    const gone = client.ask('POST', '/next', undefined, leaving.signal);
    expect(await client.post('/next?wait=1')).toEqual({ status: 204 });
    leaving.abort();
    await expect(gone).rejects.toThrow(/abort/);
    await queue.enqueue(['a']);
    expect(await client.next()).toMatchObject([{ id: 1 }]);
    await end(0);
    await ended(uid);
    expect((await queue.read()).counts.completed).toBe(1);
  });

  test('of a work queue that is gone says so', async () => {
    await setUp();
    await queue.enqueue(['a']);
    const { client, end, uid } = await start('gone');
    await client.next();
    const waiting = client.post('/next');
    await queue.delete();
    await engine.redis.publish(engine.shard.keys.workQueueChannel, queue.uid);
    expect(await waiting).toEqual({
      status: 404,
      body: { error: 'WorkQueue default/letters was deleted' },
    });
    await end(1);
    await ended(uid);
  });

  test('of a worker that was killed: its items run elsewhere, each is settled once', async () => {
    engine = await workers.engine({ slotLockMs: 1_000, slotStalledMs: 300, leaseTtlMs: 1_000 });
    queue = await TestWorkQueue.create(engine);
    await queue.enqueue(['a', 'b']);
    await queue.seal();
    const args = [workers.server.url, engine.prefix, 'doomed', 'process', '1'];
    const doomed = spawnNode(WORKER, args);
    await doomed.waitForLine(/^ready$/, 30_000);
    const first = await start('doomed');
    const [item] = await first.client.next();
    await doomed.kill('SIGKILL');
    const [session = ''] = await engine.sessions();
    await engine.endSession(session);
    await workers.worker(engine, { runtimes: ['process'], maxPods: 2 });
    const second = await start('second');
    const taken = await completeRest(second.client);
    expect(idsOf(taken)).toEqual([1, 2]);
    expect(idsOf(taken)).toContain(item!.id);
    await second.end(0);
    await ended(second.uid);
    expect(idsOf(await queue.outcomes())).toEqual([1, 2]);
  }, 60_000);
});

test('pods that take items find the command drover behind all else in their PATH', async () => {
  await setUp({ launcher: ['/bin/echo', "it's"] });
  const uid = await engine.createJob({
    run: ['drover', 'consume', '$(DROVER_ITEMS_SOCKET)'],
    env: [{ name: 'PATH', value: '/nowhere' }],
    completions: null,
    workQueue: queue.name,
  });
  await engine.offer(uid, 1);
  expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
  let text = '';
  for await (const line of readPodLog(engine.redis, engine.shard.podLogKey(uid, 1))) {
    text += line.text;
  }
  expect(text).toMatch(/^it's consume \/.+\/0\.sock\n$/);
});

describe('the directory of sockets', () => {
  const logger = pino({ level: 'silent' });
  const before = process.env['TMPDIR'];

  afterEach(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  });

  test('is for its user alone, and is removed', async () => {
    process.env['TMPDIR'] = directory;
    const sockets = new SocketDirectory(undefined, logger);
    const { paths, searchPath } = await sockets.make(2);
    expect(searchPath).toBeNull();
    const [path = ''] = paths;
    expect(path.startsWith(directory)).toBe(true);
    for (let at = dirname(path); at !== directory; at = dirname(at)) {
      expect((await stat(at)).mode & 0o777, at).toBe(0o700);
    }
    await sockets.close();
    expect(await readdir(join(directory, `drover-items-${process.getuid?.() ?? 0}`))).toEqual([]);
  });

  test('is made anew, with the command in it, when what tidies up temporary files removed it', async () => {
    process.env['TMPDIR'] = directory;
    const sockets = new SocketDirectory(['drover'], logger);
    await sockets.make(1);
    await rm(join(directory, `drover-items-${process.getuid?.() ?? 0}`), { recursive: true });
    const both = await Promise.all([sockets.make(1), sockets.make(1)]);
    for (const { paths, searchPath } of both) {
      expect(await readdir(dirname(paths[0]!))).toEqual([]);
      expect(await readdir(searchPath!)).toEqual(['drover']);
    }
    await sockets.close();
  });

  test('lies elsewhere when its path would be too long for a socket', async () => {
    process.env['TMPDIR'] = await mkdtemp(join(directory, 'x'.repeat(80)));
    const sockets = new SocketDirectory(undefined, logger);
    const { paths } = await sockets.make(100);
    for (const path of paths) {
      expect(path.startsWith('/tmp/drover-items-')).toBe(true);
      expect(path.length).toBeLessThan(MAX_SOCKET_PATH_BYTES);
    }
    await sockets.close();
  });
});
