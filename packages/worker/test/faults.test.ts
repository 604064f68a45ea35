import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  isAlive,
  spawnNode,
  startProxy,
  waitFor,
  type FaultProxy,
  type NodeProcess,
} from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { defineHandler } from '../src/index.ts';
import type { TestEngine } from './support/engine.ts';
import { aborted, Gate, Workers } from './support/workers.ts';

const WORKER = new URL('./fixtures/worker.ts', import.meta.url).pathname;

let workers: Workers;
let directory: string;
const proxies: FaultProxy[] = [];
const processes: NodeProcess[] = [];

beforeAll(async () => {
  workers = await Workers.start();
  directory = await realpath(await mkdtemp(join(tmpdir(), 'drover-faults-')));
});

afterEach(async () => {
  for (const proxy of proxies) proxy.heal();
  await workers.clear();
  await Promise.all(processes.splice(0).map((child) => child.kill('SIGKILL')));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
});

afterAll(async () => {
  await workers.stop();
  await rm(directory, { recursive: true, force: true });
});

async function openProxy(): Promise<FaultProxy> {
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: workers.server.port } });
  proxies.push(proxy);
  return proxy;
}

async function spawnWorker(
  engine: TestEngine,
  name: string,
  runtime: string,
  maxPods = 4,
): Promise<NodeProcess> {
  const child = spawnNode(WORKER, [
    workers.server.url,
    engine.prefix,
    name,
    runtime,
    String(maxPods),
  ]);
  processes.push(child);
  await child.waitForLine(/^ready$/);
  return child;
}

/** Every index from 0, once. */
function eachOnce(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function sorted(indexes: readonly (number | null)[]): (number | null)[] {
  return indexes.toSorted((a, b) => (a ?? -1) - (b ?? -1));
}

describe('connections', () => {
  test('that are cut again and again cost no pod and count none twice', async () => {
    const engine = await workers.engine();
    const proxy = await openProxy();
    const seen: (number | null)[] = [];
    const note = defineHandler('note', async ({ index }) => {
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
      seen.push(index);
    });
    await workers.worker(engine, {
      connection: `redis://127.0.0.1:${proxy.port}`,
      handlers: [note],
    });
    const uid = await engine.createJob({ run: 'note', completions: 3_000, indexed: true });
    await engine.offer(uid, 30);

    for (let cuts = 1; cuts <= 5; cuts += 1) {
      await waitFor(async () => (await engine.job(uid)).counters.succeeded >= cuts * 400);
      proxy.cut();
      proxy.heal();
    }

    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 3_000);
    expect(sorted(seen)).toEqual(eachOnce(3_000));
    expect((await engine.job(uid)).counters).toMatchObject({
      active: 0,
      failed: 0,
      unjudged: 0,
      podCount: 3_000,
    });
  });

  test('that hang for longer than the lease cost no pod either, when nobody ended the session', async () => {
    const engine = await workers.engine({ leaseTtlMs: 600, heartbeatMs: 200 });
    const proxy = await openProxy();
    const seen: (number | null)[] = [];
    const note = defineHandler('note', async ({ index }) => {
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
      seen.push(index);
    });
    await workers.worker(engine, {
      connection: `redis://127.0.0.1:${proxy.port}`,
      handlers: [note],
    });
    const uid = await engine.createJob({ run: 'note', completions: 1_000, indexed: true });
    const [session] = await engine.sessions();
    await engine.offer(uid, 10);
    await waitFor(async () => (await engine.job(uid)).counters.succeeded >= 300);

    proxy.blackhole();
    const leaseEndMs = Number(await engine.redis.zscore(engine.shard.keys.sessions, session!));
    await waitFor(() => Date.now() > leaseEndMs + 500);
    expect(seen.length).toBeLessThan(1_000);
    proxy.heal();

    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1_000);
    expect(sorted(seen)).toEqual(eachOnce(1_000));
    expect(await engine.sessions()).toEqual([session]);
  });
});

describe('a Redis', () => {
  test('that is killed and comes back with its data costs no pod and counts none twice', async () => {
    const own = await Workers.start({ appendOnly: true, config: { appendfsync: 'always' } });
    try {
      const engine = await own.engine();
      const seen: (number | null)[] = [];
      const note = defineHandler('note', async ({ index }) => {
        await new Promise((resolve) => {
          setTimeout(resolve, 1);
        });
        seen.push(index);
      });
      await own.worker(engine, { handlers: [note] });
      const uid = await engine.createJob({ run: 'note', completions: 1_000, indexed: true });
      await engine.offer(uid, 10);
      await waitFor(async () => (await engine.job(uid)).counters.succeeded >= 300);

      await own.server.kill();
      await own.server.restart();

      await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1_000);
      expect(sorted(seen)).toEqual(eachOnce(1_000));
      expect((await engine.job(uid)).counters).toMatchObject({ active: 0, failed: 0, unjudged: 0 });
    } finally {
      await own.clear();
      await own.stop();
    }
  });
});

describe('a session that was ended', () => {
  test('has its pods stopped, what they do does not count, and the worker goes on with a new one', async () => {
    const engine = await workers.engine();
    const started = new Gate();
    let calls = 0;
    const hold = defineHandler('hold', async ({ signal }) => {
      calls += 1;
      if (calls > 1) return;
      started.open();
      await aborted(signal);
    });
    await workers.worker(engine, { handlers: [hold] });
    const uid = await engine.createJob({ run: 'hold' });
    await engine.offer(uid, 1);
    await started.opened;
    const [first] = await engine.sessions();

    await engine.endSession(first!);

    const [second] = await waitFor(async () => {
      const live = await engine.sessions();
      return live.length === 1 && live;
    });
    expect(second).not.toBe(first);
    expect((await engine.job(uid)).counters).toMatchObject({
      active: 0,
      succeeded: 0,
      unjudged: 1,
    });
    expect(await engine.endedPod(uid)).toMatchObject({ outcome: 'Failed', reason: 'NodeLost' });
    await engine.offer(uid, 1);
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1);
    expect(calls).toBe(2);
    await waitFor(async () => (await engine.queue('default.handler').getJobCountByTypes()) === 0);
  });
});

describe('a lost lock', () => {
  test('does not end the pod of a healthy holder; the second delivery waits and counts nothing', async () => {
    const engine = await workers.engine({
      slotLockMs: 2_000,
      slotStalledMs: 200,
      leaseTtlMs: 1_000,
    });
    const [started, gate] = [new Gate(), new Gate()];
    let calls = 0;
    const hold = defineHandler('hold', async () => {
      calls += 1;
      started.open();
      await gate.opened;
    });
    await workers.worker(engine, { handlers: [hold] });
    const uid = await engine.createJob({ run: 'hold', completions: 2 });
    const [slot] = await engine.offer(uid, 1);
    await started.opened;
    const queue = engine.queue('default.handler');

    expect(await engine.redis.del(queue.toKey(`${uid}.${slot!}:lock`))).toBe(1);

    await waitFor(async () => (await queue.getDelayedCount()) === 1);
    expect(calls).toBe(1);
    gate.open();
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1);
    // Its holder left; the slot's next pod is the controller's to open.
    expect((await engine.job(uid)).counters).toMatchObject({ active: 0, failed: 0, unjudged: 0 });
    await waitFor(async () => (await queue.getJobCountByTypes()) === 0);
    await engine.offer(uid, 1);
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 2);
    expect(calls).toBe(2);
  });
});

test('what a pod writes after its session was ended and its Job removed stays for nobody', async () => {
  const engine = await workers.engine();
  const started = new Gate();
  const gate = new Gate();
  const talk = defineHandler('talk', async ({ log }) => {
    started.open();
    await gate.opened;
    log('too late');
  });
  await workers.worker(engine, { handlers: [talk] });
  const uid = await engine.createJob({ run: 'talk' });
  const [session] = await engine.sessions();
  await engine.offer(uid, 1);
  await started.opened;
  await engine.shard.deleteJob(uid, { policy: 'Background' });
  await engine.endSession(session!);
  await waitFor(async () => (await engine.shard.purgeJob(uid)) === 'purged');

  const key = engine.shard.podLogKey(uid, 1);
  const removed = new Gate();
  const monitor = await engine.redis.monitor();
  monitor.on('monitor', (_time, [command, of]: string[]) => {
    if (command?.toLowerCase() === 'unlink' && of === key) removed.open();
  });
  gate.open();
  await removed.opened;
  monitor.disconnect();
  expect(await engine.redis.exists(key)).toBe(0);
});

test('a pod that Redis alone believes to run, as after a failover that lost its end, is lost at once; the others go on', async () => {
  const engine = await workers.engine({ heartbeatMs: 100 });
  const gate = new Gate();
  const wait = defineHandler('wait', () => gate.opened);
  await workers.worker(engine, { handlers: [wait] });
  const [session] = await engine.sessions();
  const running = await engine.createJob({ run: 'wait' });
  await engine.offer(running, 1);
  await waitFor(async () => (await engine.job(running)).counters.running === 1);
  // It has no such handler, and never asks for this one.
  const forgotten = await engine.createJob({ run: 'other' });
  const [slot] = await engine.offer(forgotten, 1);
  const claim = { uid: forgotten, slot: slot!, attemptsStarted: 1, session: session! };
  expect(await engine.shard.acquire({ ...claim, knownGeneration: 0 })).toMatchObject({
    type: 'run',
  });

  await waitFor(async () => (await engine.job(forgotten)).counters.unjudged === 1);
  expect((await engine.job(forgotten)).counters).toMatchObject({ active: 0, running: 0 });
  expect(await engine.endedPod(forgotten)).toMatchObject({ reason: 'NodeLost' });
  expect((await engine.job(running)).counters.running).toBe(1);
  gate.open();
  await waitFor(async () => (await engine.job(running)).counters.succeeded === 1);
});

describe('a process', () => {
  test('whose event loop is blocked loses its session and its pods, and no count is wrong', async () => {
    const engine = await workers.engine({
      leaseTtlMs: 600,
      heartbeatMs: 200,
      slotLockMs: 1_000,
      slotStalledMs: 300,
    });
    const child = await spawnWorker(engine, 'blocked', 'handler', 2);
    const uid = await engine.createJob({
      run: 'block',
      completions: 3,
      indexed: true,
      annotations: { 'drover.dev/input': '2500' },
    });
    const [session] = await engine.sessions();
    await engine.offer(uid, 1);
    await child.waitForLine(/^begin 0$/);

    const ended = await waitFor(async () => {
      const reply = await engine.shard.expireSession(session!);
      return reply.type === 'ended' && reply;
    });
    expect(ended.claims).toHaveLength(1);
    await engine.shard.endLostPods(
      session!,
      uid,
      ended.claims.map((claim) => claim.slot),
    );
    expect((await engine.job(uid)).counters).toMatchObject({
      active: 0,
      succeeded: 0,
      unjudged: 1,
    });

    // Its pod did succeed, as far as it knows; but that pod has been counted as lost.
    await child.waitForLine(/^end 0$/);
    const fresh = await waitFor(async () => {
      const live = await engine.sessions();
      return live.length === 1 && live[0] !== session && live[0];
    });
    expect(fresh).not.toBe(session);
    expect((await engine.job(uid)).counters.succeeded).toBe(0);
    await engine.offer(uid, 1);
    await child.waitForLine(/^begin 1$/);
    const { counters } = await engine.job(uid);
    expect(counters).toMatchObject({ failed: 1, unjudged: 0 });
    expect(counters.succeeded + counters.active).toBeLessThanOrEqual(2);
  });

  test('killed with SIGKILL leaves no program behind, and its pods run again elsewhere', async () => {
    const engine = await workers.engine();
    const child = await spawnWorker(engine, 'doomed', 'process');
    const uid = await engine.createJob({
      // The file tells who it is; there is a program below it, too.
      run: ['/bin/sh', '-c', 'sleep 1000 & echo "$$$$ $!" > "pids-$HOSTNAME"; test -e go || wait'],
      completions: 3,
      indexed: true,
      name: 'doomed',
      workingDir: directory,
    });
    await engine.offer(uid, 3);
    const pids = await waitFor(async () => {
      const files = (await readdir(directory)).filter((file) => file.startsWith('pids-'));
      const texts = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')));
      const found = texts
        .flatMap((text) => text.trim().split(' ').map(Number))
        .filter((pid) => pid > 0);
      return found.length === 6 && found;
    });
    expect(pids.every(isAlive)).toBe(true);
    const [session] = await engine.sessions();

    await child.kill('SIGKILL');

    await waitFor(() => !pids.some(isAlive), { timeoutMs: 2_000 });
    await engine.endSession(session!);
    expect((await engine.job(uid)).counters).toMatchObject({ active: 0, unjudged: 3 });
    await spawnWorker(engine, 'heir', 'process');
    await writeFile(join(directory, 'go'), '');
    await engine.offer(uid, 3);
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 3);
    expect((await engine.job(uid)).counters).toMatchObject({ failed: 3, active: 0, podCount: 6 });
  });

  test('told to end with SIGTERM drains and exits by itself', async () => {
    const engine = await workers.engine();
    const child = await spawnWorker(engine, 'leaving', 'handler');
    expect(await child.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(child.output('stdout')).toContain('closed');
    expect(await engine.sessions()).toEqual([]);
  });
});
