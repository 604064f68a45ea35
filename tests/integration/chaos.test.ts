import { setTimeout as delay } from 'node:timers/promises';

import { waitFor, type NodeProcess } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine, type TestWorker } from './support/engine.ts';
import { handlerJob, recordedPod, recordedScript } from './support/manifests.ts';
import { createRandom, type Random } from './support/random.ts';
import { mostAtOnce, runsByIndex } from './support/records.ts';

/** CHAOS_SEED repeats a run; CHAOS_SECONDS makes it longer. */
const SEED = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000);
const SECONDS = Number(process.env['CHAOS_SECONDS'] ?? 5);

/** A Job of the run and what is to become of it. */
interface Subject {
  readonly name: string;
  readonly completions: number;
  readonly parallelism: number;
  /** Pods that fail by themselves. */
  readonly failures: number;
  /** Its pods were told to stop, and those that came instead may have run beside them. */
  isDisturbed: boolean;
  /** Pods that a user deleted: counted as failed, and gone. */
  deletedPods: number;
}

/** What is running. */
interface Running {
  readonly engine: Engine;
  readonly random: Random;
  readonly workers: TestWorker[];
  readonly controllers: NodeProcess[];
  readonly killedAtMs: Map<string, number>;
  readonly subjects: Subject[];
}

async function createSubject({ engine, random }: Running, number: number): Promise<Subject> {
  const kind = random.pick(['work', 'flaky', 'finish', 'program', 'several'] as const);
  const name = `${kind}-${number}`;
  const most = { work: 300, finish: 300, flaky: 60, program: 30, several: 20 }[kind];
  const completions = random.integer(3, most);
  const parallelism = random.integer(1, 10);
  const shape = {
    name,
    completions,
    parallelism,
    indexed: true,
    backoffLimit: 10_000,
    graceSeconds: 2,
  };
  const ms = random.integer(0, 40);
  const script = `sleep 0.0${random.integer(1, 9)}`;
  const manifest = {
    program: () => recordedScript(engine.records, script, shape),
    several: () => recordedPod(engine.records, script, shape),
    work: () => handlerJob(kind, shape, { ms }),
    flaky: () => handlerJob(kind, shape, { ms }),
    finish: () => handlerJob(kind, shape, { ms }),
  }[kind]();
  await engine.drover.jobs.create(manifest);
  const failures = kind === 'flaky' ? completions : 0;
  return { name, completions, parallelism, failures, isDisturbed: false, deletedPods: 0 };
}

/** What users do to Jobs that run. */
async function interfere({ engine, random, subjects }: Running): Promise<void> {
  const { jobs, pods } = engine.drover;
  const subject = random.pick(subjects);
  const { name, parallelism } = subject;
  const isFinished = async (): Promise<boolean> =>
    (await jobs.get(name)).status?.conditions?.at(-1)?.type === 'Complete';
  if (await isFinished()) return;
  const action = random.pick(['scale', 'suspend', 'deletePod', 'delete'] as const);
  switch (action) {
    case 'scale':
      subject.isDisturbed = true;
      await jobs.patch(name, { spec: { parallelism: random.integer(0, 20) } });
      await delay(random.integer(0, 300));
      await jobs.patch(name, { spec: { parallelism } });
      return;
    case 'suspend':
      subject.isDisturbed = true;
      await jobs.suspend(name);
      await delay(random.integer(0, 300));
      await jobs.resume(name);
      return;
    case 'deletePod': {
      const [pod] = await pods.list({ job: name, phase: 'Running', limit: 1 });
      if (pod === undefined) return;
      subject.isDisturbed = true;
      subject.deletedPods += 1;
      // It may have ended meanwhile, and then its record goes instead.
      await pods.delete(pod).catch(() => undefined);
      return;
    }
    case 'delete':
      subjects.splice(subjects.indexOf(subject), 1);
      await jobs.delete(name);
  }
}

async function doHarm({
  engine,
  random,
  workers,
  controllers,
  killedAtMs,
}: Running): Promise<void> {
  const harm = random.pick(['kill', 'kill', 'drain', 'controller', 'redis'] as const);
  switch (harm) {
    case 'kill':
    case 'drain': {
      const [worker] = workers.splice(random.integer(0, workers.length - 1), 1);
      if (worker === undefined) return;
      await worker.process.kill(harm === 'kill' ? 'SIGKILL' : 'SIGTERM');
      killedAtMs.set(worker.name, Date.now());
      workers.push(await engine.worker({ maxPods: 6 }));
      return;
    }
    case 'controller': {
      const [controller] = controllers.splice(random.integer(0, controllers.length - 1), 1);
      await controller?.kill(random.pick(['SIGKILL', 'SIGTERM'] as const));
      controllers.push(await engine.controller({ backoffBaseMs: 20, backoffCapMs: 20 }));
      return;
    }
    case 'redis':
      await engine.redis.kill();
      await delay(random.integer(0, 1_500));
      await engine.redis.restart();
  }
}

async function check({ engine, killedAtMs }: Running, subject: Subject): Promise<void> {
  const { name, completions, parallelism, failures, isDisturbed, deletedPods } = subject;
  const { status } = await engine.finished(name, 45_000);
  const about = `seed ${SEED}, Job ${name}: ${JSON.stringify(status)}`;
  expect(status?.conditions?.at(-1), about).toMatchObject({ type: 'Complete', status: 'True' });
  expect(status?.succeeded, about).toBe(completions);
  expect(status?.completedIndexes, about).toBe(`0-${completions - 1}`);
  const runs = engine.records.read(name);
  expect(runsByIndex(runs).size, about).toBe(completions);
  const most = isDisturbed ? 0 : mostAtOnce(runs, killedAtMs);
  expect(most, about).toBeLessThanOrEqual(parallelism);
  const pods = await engine.pods(name);
  const failed = pods.filter((pod) => pod.status?.phase === 'Failed');
  const gone = (status?.failed ?? 0) + completions - pods.length;
  expect(gone, about).toBeGreaterThanOrEqual(0);
  expect(gone, about).toBeLessThanOrEqual(deletedPods);
  const blamed = failed.filter((pod) => pod.status?.reason === undefined);
  // A pod that failed by itself may have been lost before it could say so, never the other way round.
  expect(blamed.length, about).toBeLessThanOrEqual(failures);
}

test(`whatever is killed, all Jobs complete and all counts are exact (CHAOS_SEED=${SEED})`, async () => {
  await using engine = await Engine.forTest({ redis: { appendOnly: true } });
  // The first connection of a client fails early, later ones wait.
  await engine.drover.connect();
  const random = createRandom(SEED);
  const controllers = await Promise.all(
    [1, 2].map(() => engine.controller({ backoffBaseMs: 20, backoffCapMs: 20 })),
  );
  const workers = await Promise.all([1, 2, 3].map(() => engine.worker({ maxPods: 6 })));
  const running: Running = {
    engine,
    random,
    workers,
    controllers,
    killedAtMs: new Map(),
    subjects: [],
  };
  const { subjects } = running;
  const endAtMs = Date.now() + SECONDS * 1_000;
  // The pauses are the pace of the run; nothing depends on how long they are.
  const harm = (async () => {
    while (Date.now() < endAtMs) {
      await doHarm(running);
      await delay(random.integer(0, 500));
    }
  })();
  for (let number = 0; Date.now() < endAtMs; number++) {
    subjects.push(await createSubject(running, number));
    await delay(random.integer(0, 400));
    await interfere(running);
    await delay(random.integer(0, 400));
  }
  await harm;
  for (const subject of subjects) await check(running, subject);

  // Nothing is left over: no slot in a queue, no claim, no lane of a worker that is gone.
  const { redis, shards, prefix } = engine.store;
  const keys = shards[0]!.keys;
  await waitFor(async () => (await redis.zcard(keys.sessions)) === workers.length);
  expect(await redis.hget(keys.lanes, 'default/process')).toBe('18');
  await waitFor(async () => {
    const jobsOnQueues = Object.values(await redis.hgetall(keys.queues));
    return jobsOnQueues.every((count) => count === '0');
  });
  let left: string[] = [];
  await waitFor(
    async () => {
      left = await redis.keys(`{${prefix}:q:*}:*:????????-????-*`);
      return left.length === 0;
    },
    { timeoutMs: 30_000, describe: () => left },
  );
}, 180_000);
