import { readPodLog } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

import {
  createWorker,
  defineHandler,
  type HandlerDefinition,
  type WorkerOptions,
} from '../../../src/index.ts';
import * as handlers from '../../fixtures/threadHandlers.ts';
import { makeHandler } from '../../fixtures/unexportedHandler.ts';
import type { TestEngine, TestJob } from '../../support/engine.ts';
import { Workers } from '../../support/workers.ts';

// Threads load modules, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 40_000 });

let workers: Workers;

beforeAll(async () => {
  workers = await Workers.start();
});

afterEach(async () => {
  await workers.clear();
});

afterAll(async () => {
  await workers.stop();
});

type EndedPod = NonNullable<Awaited<ReturnType<TestEngine['endedPod']>>>;

/** A worker with all handlers of the fixture. */
async function start(options: Partial<WorkerOptions> = {}) {
  const engine = await workers.engine();
  await workers.worker(engine, { name: 'node-1', handlers: Object.values(handlers), ...options });
  return engine;
}

/** Creates a Job of one pod and offers it. */
async function offer(engine: TestEngine, run: HandlerDefinition, job: Partial<TestJob> = {}) {
  const uid = await engine.createJob({ run: run.name, ...job });
  await engine.offer(uid, 1);
  return uid;
}

async function ended(engine: TestEngine, uid: string): Promise<EndedPod> {
  return await waitFor(() => engine.endedPod(uid), { timeoutMs: 30_000 });
}

async function logOf(engine: TestEngine, uid: string): Promise<string> {
  let log = '';
  for await (const { text } of readPodLog(engine.redis, engine.shard.podLogKey(uid, 1)))
    log += text;
  return log;
}

/** Runs one pod and answers how it ended. */
async function runOne(run: HandlerDefinition, job: Partial<TestJob> = {}) {
  const engine = await start();
  const uid = await offer(engine, run, job);
  const pod = await ended(engine, uid);
  return { engine, uid, pod, log: pod.hasLog ? await logOf(engine, uid) : '' };
}

const input = (value: unknown): Partial<TestJob> => ({
  annotations: { 'drover.dev/input': JSON.stringify(value) },
});

async function progressOf(engine: TestEngine, uid: string): Promise<string | null> {
  return await engine.redis.get(engine.shard.keys.podProgress(uid, 1));
}

/** Tells the pod to stop, and waits until it has ended. Of such a pod no more than its log is kept. */
async function stop(engine: TestEngine, uid: string): Promise<void> {
  await engine.stop(uid);
  await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
}

/** Until a handler of the fixture has said that it runs. */
async function begun(engine: TestEngine, uid: string): Promise<void> {
  await waitFor(async () => (await logOf(engine, uid)).includes('begun'));
}

describe('a handler in a thread', () => {
  test('sees what one on the event loop sees', async () => {
    const { pod, uid } = await runOne(handlers.look, {
      name: 'pictures',
      indexed: true,
      completions: 1,
      args: ['--index=$(JOB_COMPLETION_INDEX)'],
      env: [{ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
      ...input({ width: 3 }),
    });
    expect(JSON.parse(pod.overlay!.result!)).toEqual({
      job: {
        name: 'pictures',
        namespace: 'default',
        uid,
        labels: { app: 'test' },
        annotations: {},
      },
      pod: {
        name: expect.stringMatching(/^pictures-0-[a-z2-9]{5}$/),
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        number: 1,
      },
      index: 0,
      completions: 1,
      args: ['--index=0'],
      env: { NODE: 'node-1', JOB_COMPLETION_INDEX: '0' },
      input: { width: 3 },
      aborted: false,
      isMainThread: false,
    });
  });

  test('gets its input checked', async () => {
    expect((await runOne(handlers.resize, input({ width: 21 }))).pod.overlay?.result).toBe('42');
    const { pod } = await runOne(handlers.resize, input({ width: 'no' }));
    expect(pod).toMatchObject({ outcome: 'Failed', reason: 'StartError', exitCode: 128 });
    expect(pod.overlay?.message).toContain('width: expected a number');
  });

  test('writes to its pod’s log', async () => {
    const { log } = await runOne(handlers.talk);
    expect(log).toBe('one line\n{"level":"info","picture":7,"msg":"resized"}\n');
  });

  test('shows its progress, also while it computes, and is heard to be told to stop', async () => {
    const engine = await start();
    const uid = await offer(engine, handlers.computeAloud);
    await waitFor(async () => (await progressOf(engine, uid)) === '0.5');
    await stop(engine, uid);
    await waitFor(async () => (await progressOf(engine, uid)) === null);
  });

  test('can not tell a progress that is none', async () => {
    const { pod } = await runOne(handlers.boast);
    expect(pod.overlay?.message).toContain('progress is a fraction from 0 to 1');
  });

  test('that throws fails its pod: the message in the status, the stack in the log', async () => {
    const { pod, log } = await runOne(handlers.broken);
    expect(pod).toMatchObject({ outcome: 'Failed', reason: 'Error', exitCode: 1, hasLog: true });
    expect(pod.overlay).toEqual({ message: 'RangeError: no such picture' });
    expect(log).toContain('threadHandlers.ts');
  });

  test.each([
    {
      name: 'an error that nobody catches',
      handler: handlers.throwOutside,
      want: { reason: 'Error', exitCode: 1 },
      message: /an error outside of the handler's promise ended its thread: TypeError: outside$/,
    },
    {
      name: 'a rejection that nobody catches',
      handler: handlers.rejectOutside,
      want: { reason: 'Error', exitCode: 1 },
      message: /an error outside of the handler's promise ended its thread: TypeError: forgotten$/,
    },
    {
      name: 'process.exit',
      handler: handlers.exit,
      job: input(3),
      want: { reason: 'Error', exitCode: 3 },
      message: /^the handler ended its thread with process\.exit\(3\)$/,
    },
    {
      name: 'process.exit with 0',
      handler: handlers.exit,
      job: input(0),
      want: { reason: 'Error', exitCode: 1 },
      message: /^the handler ended its thread with process\.exit\(0\)$/,
    },
    ...[handlers.hog, handlers.gulp, handlers.hoard].map((handler) => ({
      name: `too much memory (${handler.name})`,
      handler,
      want: { reason: 'OOMKilled', exitCode: 137 },
      message: /^the handler needed more than the 64 MiB of memory that its thread may have$/,
    })),
  ])('fails alone with $name', async ({ handler, job = {}, want, message }) => {
    const engine = await start({ threads: 2, threadMemoryMiB: 64 });
    const neighbour = await offer(engine, handlers.waitUntilTold);
    await begun(engine, neighbour);
    const uid = await offer(engine, handler, job);
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', ...want });
    expect(pod.overlay?.message).toMatch(message);
    // There is another thread for the next pod, and the neighbour has felt nothing.
    expect((await ended(engine, await offer(engine, handlers.look))).outcome).toBe('Succeeded');
    await stop(engine, neighbour);
    expect(await logOf(engine, neighbour)).toBe('begun\nheard\n');
    expect(await engine.sessions()).toHaveLength(1);
  });

  test('is told to stop by its signal while it computes', async () => {
    const engine = await start();
    const uid = await offer(engine, handlers.computeUntilTold);
    await begun(engine, uid);
    await stop(engine, uid);
    expect(await logOf(engine, uid)).toMatch(/^begun\nAbortError: the pod was told to stop\n/);
  });

  test('that does not hear its signal is ended when the grace period is over', async () => {
    const logged: unknown[] = [];
    const logger = pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) });
    const engine = await start({ threads: 1, logger });
    const uid = await offer(engine, handlers.deaf, { graceSeconds: 1 });
    await begun(engine, uid);
    const stoppedMs = performance.now();
    await stop(engine, uid);
    expect(performance.now() - stoppedMs).toBeGreaterThanOrEqual(1_000);
    expect(logged).toContainEqual(
      expect.objectContaining({
        msg: 'the handler did not end within 1 s after it was told to stop, and its thread was ended',
      }),
    );
    expect((await ended(engine, await offer(engine, handlers.look))).outcome).toBe('Succeeded');
  });

  test('that leaves an error behind ends its thread, and not the next pod', async () => {
    const engine = await start({ threads: 1 });
    const uid = await offer(engine, handlers.leaveBomb, { completions: 4 });
    const counters = await waitFor(
      async () => {
        const { succeeded, unjudged, failed } = (await engine.job(uid)).counters;
        return succeeded + unjudged > 3 || unjudged > 0 ? { succeeded, unjudged, failed } : null;
      },
      { timeoutMs: 30_000 },
    );
    expect(counters).toEqual({ succeeded: 4, unjudged: 0, failed: 0 });
  });

  test('with OnFailure is called again for the same pod', async () => {
    const engine = await workers.engine();
    await workers.worker(engine, {
      handlers: [handlers.flaky],
      threads: 1,
      crashLoop: { baseMs: 10, capMs: 20 },
    });
    const uid = await offer(engine, handlers.flaky, { restartPolicy: 'OnFailure' });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', overlay: { result: '2', restarts: 1 } });
  });

  test('that writes without a pause is slowed down and not kept in memory', async () => {
    const engine = await start({ threads: 1 });
    const before = process.memoryUsage().rss;
    const uid = await offer(engine, handlers.flood, input(100));
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', hasLog: true });
    expect(process.memoryUsage().rss - before).toBeLessThan(80 * 2 ** 20);
  });
});

describe('a worker with threads', () => {
  test('goes on with its heartbeat and its other pods while all threads compute for longer than a lease', async () => {
    const engine = await workers.engine({ leaseTtlMs: 600, heartbeatMs: 100 });
    let seen = 0;
    const tick = defineHandler('tick', () => {
      seen += 1;
    });
    await workers.worker(engine, { handlers: [handlers.compute, tick], threads: 2 });
    const [session] = await engine.sessions();
    const uid = await engine.createJob({
      run: 'compute',
      completions: 2,
      indexed: true,
      ...input(2_000),
    });
    await engine.offer(uid, 2);
    await waitFor(async () => (await engine.job(uid)).counters.active === 2);
    const beganMs = performance.now();
    const others = await engine.createJob({ run: 'tick', completions: 50 });
    await engine.offer(others, 5);
    await waitFor(async () => (await engine.job(others)).counters.succeeded === 50);
    expect(performance.now() - beganMs).toBeLessThan(1_900);
    expect(seen).toBe(50);
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 2);
    expect(await engine.sessions()).toEqual([session]);
  });

  test('runs as many pods at a time as it has threads, and leaves the others to workers with a free one', async () => {
    const engine = await workers.engine();
    await workers.worker(engine, { name: 'one', handlers: [handlers.waitUntilTold], threads: 1 });
    const [first] = await engine.sessions();
    const uids = await Promise.all([1, 2, 3].map(() => offer(engine, handlers.waitUntilTold)));
    /** Sessions that run the pods, in order; '' of those that wait. */
    const runBy = async (): Promise<string[]> => {
      const pods = (await Promise.all(uids.map((uid) => engine.pods(uid)))).flat();
      return pods.map((pod) => (pod.kind === 'slot' ? pod.session : 'ended')).toSorted();
    };
    await waitFor(async () => (await runBy()).includes(first!));
    await workers.worker(engine, { name: 'two', handlers: [handlers.waitUntilTold], threads: 2 });
    // A slot that found no thread may rest for some seconds.
    await waitFor(async () => !(await runBy()).includes(''), { timeoutMs: 30_000 });
    expect((await runBy()).filter((session) => session === first)).toHaveLength(1);
  });

  test('gives a freed thread to a slot that waits for one', async () => {
    const engine = await start({ threads: 1 });
    const uids = await Promise.all(
      Array.from({ length: 5 }, () => offer(engine, handlers.compute, input(20))),
    );
    for (const uid of uids) expect((await ended(engine, uid)).outcome).toBe('Succeeded');
  });

  test('ends its idle threads with itself, without a word', async () => {
    const logged: { level: number }[] = [];
    const logger = pino({}, { write: (line) => void logged.push(JSON.parse(line)) });
    const engine = await workers.engine();
    const worker = await workers.worker(engine, { handlers: [handlers.look], logger });
    await ended(engine, await offer(engine, handlers.look));
    await worker.close();
    expect(logged.filter(({ level }) => level > 30)).toEqual([]);
  });

  test('refuses a handler whose module it does not know', () => {
    const closure = defineHandler('closure', () => {}, { isolation: 'thread' });
    expect(() => createWorker({ connection: 'redis://127.0.0.1:1', handlers: [closure] })).toThrow(
      /"closure" is to run in threads.*module: import\.meta\.url/,
    );
  });

  test('does not start with a handler that its module does not export', async () => {
    const engine = await workers.engine();
    await expect(workers.worker(engine, { handlers: [makeHandler()] })).rejects.toThrow(
      'handlers in threads: "hidden" can not be loaded there: export what defineHandler returns',
    );
  });

  test('does not start with a module that makes workers of its own', async () => {
    const engine = await workers.engine();
    const { both } = await import('../../fixtures/handlerWithWorker.ts');
    await expect(workers.worker(engine, { handlers: [both] })).rejects.toThrow(
      'keep handlers with isolation: "thread" in a module of their own',
    );
  });

  test.each([
    { name: 'no threads', give: { threads: 0 }, want: 'threads 0: must be an integer from 1' },
    { name: 'half a thread', give: { threads: 1.5 }, want: 'threads 1.5: must be an integer' },
    {
      name: 'no memory',
      give: { threadMemoryMiB: 1 },
      want: 'threadMemoryMiB 1: must be 32 or more',
    },
  ])('can not have $name', ({ give, want }) => {
    const options = { connection: 'redis://127.0.0.1:1', handlers: [handlers.look], ...give };
    expect(() => createWorker(options)).toThrow(want);
  });
});

describe('defineHandler', () => {
  test.each([
    {
      name: 'an isolation that is none',
      give: { isolation: 'threads' },
      want: '"none" or "thread"',
    },
    { name: 'a path for its module', give: { module: './handlers.ts' }, want: 'import.meta.url' },
  ])('can not have $name', ({ give, want }) => {
    expect(() => defineHandler('wrong', () => {}, give as object)).toThrow(want);
  });

  test('takes options after a schema, too, and a schema that is a function', () => {
    const schema = Object.assign(() => {}, {
      '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) },
    } as const);
    const run = () => {};
    expect(defineHandler('a', schema, run, { isolation: 'thread' })).toMatchObject({
      schema,
      run,
      isolation: 'thread',
    });
    expect(defineHandler('a', schema, run)).toMatchObject({ schema, run, isolation: 'none' });
    expect(defineHandler('a', run, {})).toMatchObject({ schema: null, run, isolation: 'none' });
  });
});
