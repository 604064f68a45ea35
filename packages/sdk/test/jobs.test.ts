import { randomUUID } from 'node:crypto';

import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  AlreadyExistsError,
  ConflictError,
  InvalidSpecError,
  NotFoundError,
  TimeoutError,
  type Job,
  type JobEvent,
} from '../src/index.ts';
import { Engine, handlerJob } from './engine.ts';

/** No worker: what is created stays as it is. */
let engine: Engine;

beforeAll(async () => {
  engine = await Engine.start();
});

afterAll(async () => {
  await engine.stop();
});

/** Takes events until one fits. */
async function until(
  watch: AsyncGenerator<JobEvent>,
  fits: (event: JobEvent) => boolean,
): Promise<JobEvent> {
  for (;;) {
    const step = await watch.next();
    if (step.done === true) throw new Error('the watch ended');
    if (fits(step.value)) return step.value;
  }
}

/** A Job of which the controller has nothing more to write: its version changes no more by itself. */
async function createIdle(name: string): Promise<Job> {
  await engine.drover.jobs.create(handlerJob(name, 'work', { suspend: true }));
  return await waitFor(async () => {
    const job = await engine.drover.jobs.get(name);
    return job.status.conditions?.some(({ type }) => type === 'Suspended') ? job : null;
  });
}

describe('create', () => {
  test('completes the Job as Kubernetes does', async () => {
    const job = await engine.drover.jobs.create(handlerJob('complete', 'work'));
    const { uid } = job.metadata;
    const labels = {
      app: 'complete',
      'controller-uid': uid,
      'job-name': 'complete',
      'batch.kubernetes.io/controller-uid': uid,
      'batch.kubernetes.io/job-name': 'complete',
    };
    expect(job).toMatchObject({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'complete', namespace: 'default', generation: 1, labels },
      spec: {
        completions: 1,
        parallelism: 1,
        backoffLimit: 6,
        completionMode: 'NonIndexed',
        suspend: false,
        selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
        template: { metadata: { labels } },
      },
    });
    expect(job.metadata.resourceVersion).toMatch(/^\d+$/);
    expect(job.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  test('answers with the Job as a read shows it', async () => {
    const { status: _new, ...created } = await engine.drover.jobs.create(
      handlerJob('as-read', 'work', { completions: 3, completionMode: 'Indexed' }),
    );
    const { status: _later, ...read } = await engine.drover.jobs.get('as-read');
    const { resourceVersion } = created.metadata;
    expect({ ...read, metadata: { ...read.metadata, resourceVersion } }).toEqual(created);
    // The controller may have written a status in between.
    expect(Number(read.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(resourceVersion));
  });

  test('of many at once: each is made, or refused, for itself', async () => {
    const names = ['many-1', 'many-2', 'many-1', 'many-3'];
    const ends = await Promise.allSettled(
      names.map((name) => engine.drover.jobs.create(handlerJob(name, 'work'))),
    );
    expect(
      ends.map((end) =>
        end.status === 'fulfilled' ? end.value.metadata.name : (end.reason as Error).name,
      ),
    ).toEqual(['many-1', 'many-2', 'AlreadyExistsError', 'many-3']);
    const uids = new Set(
      ends.map((end) => (end.status === 'fulfilled' ? end.value.metadata.uid : '')),
    );
    expect(uids.size).toBe(4);
  });

  test('sent again with the same uid answers with the same Job', async () => {
    const uid = randomUUID();
    const manifest = handlerJob('twice', 'work');
    const first = await engine.drover.jobs.create(manifest, { uid });
    const second = await engine.drover.jobs.create(manifest, { uid });
    expect(first.metadata.uid).toBe(uid);
    expect(second.metadata).toMatchObject({ uid, name: 'twice' });
    expect(await engine.drover.jobs.list({ labelSelector: 'app=twice' })).toHaveLength(1);
  });

  test('of a name that is taken is refused', async () => {
    await engine.drover.jobs.create(handlerJob('taken', 'work'));
    const again = engine.drover.jobs.create(handlerJob('taken', 'work'));
    await expect(again).rejects.toThrow(AlreadyExistsError);
    await expect(again).rejects.toThrow('jobs.batch "taken" in namespace "default" already exists');
  });

  test('the same name is free in another namespace', async () => {
    await engine.drover.jobs.create(handlerJob('shared-name', 'work'));
    const other = await engine.drover.jobs.create(handlerJob('shared-name', 'work'), {
      namespace: 'other',
    });
    expect(other.metadata.namespace).toBe('other');
  });

  test('makes a name from generateName', async () => {
    const manifest = { ...handlerJob('', 'work'), metadata: { generateName: 'made-' } };
    const [a, b] = await Promise.all([
      engine.drover.jobs.create(manifest),
      engine.drover.jobs.create(manifest),
    ]);
    expect(a.metadata.name).toMatch(/^made-[a-z0-9]{5}$/);
    expect(a.metadata.name).not.toBe(b.metadata.name);
  });

  test('tells everything that is wrong at once and stores nothing', async () => {
    const manifest = handlerJob('wrong', 'work', { parallelism: -1, backofLimit: 3 });
    const error = await engine.drover.jobs.create(manifest).then(
      () => expect.unreachable('it was created'),
      (caught: unknown) => caught as InvalidSpecError,
    );
    expect(error).toBeInstanceOf(InvalidSpecError);
    expect(error.issues.map(({ path }) => path).toSorted()).toEqual([
      'spec.backofLimit',
      'spec.parallelism',
    ]);
    await expect(engine.drover.jobs.get('wrong')).rejects.toThrow(NotFoundError);
  });

  test('a dry run stores nothing', async () => {
    const job = await engine.drover.jobs.create(handlerJob('dry', 'work'), { dryRun: true });
    expect(job.metadata.name).toBe('dry');
    await expect(engine.drover.jobs.get('dry')).rejects.toThrow(NotFoundError);
  });
});

describe('arguments of callers without types', () => {
  test.each([null, undefined, 3, 'x', []])('a manifest that is %j is invalid', async (manifest) => {
    await expect(engine.drover.jobs.create(manifest as never)).rejects.toThrow(InvalidSpecError);
  });

  test.each([null, undefined, '', {}, { metadata: {} }])(
    'a reference that is %j says what a reference is',
    async (ref) => {
      await expect(engine.drover.jobs.get(ref as never)).rejects.toThrow(
        /^an object is named by its name or given itself, with metadata.name; got /,
      );
    },
  );
});

describe('get and list', () => {
  test('a Job that does not exist is not found', async () => {
    await expect(engine.drover.jobs.get('nobody')).rejects.toThrow(
      'jobs.batch "nobody" in namespace "default" not found',
    );
  });

  test('an object means that one, not a later one of the same name', async () => {
    const first = await engine.drover.jobs.create(handlerJob('replaced', 'work'));
    await engine.drover.jobs.delete(first);
    const second = await engine.drover.jobs.create(handlerJob('replaced', 'work'));
    await expect(engine.drover.jobs.get(first)).rejects.toThrow(NotFoundError);
    await expect(engine.drover.jobs.delete(first)).rejects.toThrow(NotFoundError);
    expect((await engine.drover.jobs.get('replaced')).metadata.uid).toBe(second.metadata.uid);
  });

  test('with preconditions that do not hold is a conflict', async () => {
    const job = await createIdle('precious');
    const { uid, resourceVersion = '' } = job.metadata;
    const remove = (preconditions: { uid?: string; resourceVersion?: string }) =>
      engine.drover.jobs.delete('precious', { preconditions });
    await expect(remove({ uid: randomUUID() })).rejects.toThrow(ConflictError);
    const { metadata } = await engine.drover.jobs.patch('precious', {
      metadata: { labels: { a: 'b' } },
    });
    await expect(remove({ uid, resourceVersion })).rejects.toThrow(ConflictError);
    const current = metadata.resourceVersion ?? '';
    expect(await remove({ uid, resourceVersion: current })).toBe(true);
  });

  test('a policy that there is not is refused', async () => {
    const options = { propagationPolicy: 'Sideways' as 'Orphan' };
    await expect(engine.drover.jobs.delete('any', options)).rejects.toThrow(
      'propagationPolicy is one of Background, Foreground, Orphan',
    );
  });

  test('lists by namespace, selector and limit, in order of names', async () => {
    const options = { namespace: 'lists' };
    for (const name of ['c', 'a', 'b']) {
      await engine.drover.jobs.create(handlerJob(name, 'work'), options);
    }
    const names = async (more: object) =>
      (await engine.drover.jobs.list({ ...options, ...more })).map(({ metadata }) => metadata.name);
    expect(await names({})).toEqual(['a', 'b', 'c']);
    expect(await names({ labelSelector: 'app in (a,c)' })).toEqual(['a', 'c']);
    expect(await names({ limit: 2 })).toEqual(['a', 'b']);
    expect(await names({ allNamespaces: true, labelSelector: 'job-name=b' })).toEqual(['b']);
  });

  test('pages through more Jobs than one read gives', async () => {
    const options = { namespace: 'many' };
    const count = 520;
    const manifest = (index: number) => handlerJob(`job-${index}`, 'work', { suspend: true });
    await Promise.all(
      Array.from({ length: count }, (_, index) =>
        engine.drover.jobs.create(manifest(index), options),
      ),
    );
    const jobs = await engine.drover.jobs.list(options);
    expect(new Set(jobs.map(({ metadata }) => metadata.name)).size).toBe(count);
  });
});

describe('patch', () => {
  test('changes what may change, and the generation with the spec', async () => {
    await engine.drover.jobs.create(
      handlerJob('patched', 'work', { completions: 3, parallelism: 1 }),
    );
    const scaled = await engine.drover.jobs.patch('patched', { spec: { parallelism: 2 } });
    expect(scaled).toMatchObject({ metadata: { generation: 2 }, spec: { parallelism: 2 } });
    const labelled = await engine.drover.jobs.patch('patched', {
      metadata: { labels: { more: 'x' } },
    });
    expect(labelled).toMatchObject({ metadata: { generation: 2, labels: { more: 'x' } } });
  });

  test('a patch that changes nothing writes nothing', async () => {
    const job = await engine.drover.jobs.create(handlerJob('same', 'work', { suspend: true }));
    const settled = await engine.drover.jobs.get('same');
    const patched = await engine.drover.jobs.patch('same', { spec: { parallelism: 1 } });
    expect(patched.metadata.generation).toBe(job.metadata.generation);
    expect(Number(patched.metadata.resourceVersion)).toBeGreaterThanOrEqual(
      Number(settled.metadata.resourceVersion),
    );
  });

  test('what is immutable is refused by name', async () => {
    await engine.drover.jobs.create(handlerJob('fixed', 'work'));
    const change = engine.drover.jobs.patch('fixed', { spec: { completions: 9 } });
    await expect(change).rejects.toThrow('spec.completions: Invalid value: 9: field is immutable');
  });

  test('a stale resourceVersion is a conflict', async () => {
    const job = await engine.drover.jobs.create(handlerJob('stale', 'work'));
    await engine.drover.jobs.patch('stale', { metadata: { labels: { a: '1' } } });
    const { resourceVersion } = job.metadata;
    const change = engine.drover.jobs.patch('stale', {
      metadata: { resourceVersion, labels: { a: '2' } },
    });
    await expect(change).rejects.toThrow(ConflictError);
  });

  test('changes made side by side are all kept', async () => {
    await engine.drover.jobs.create(handlerJob('busy', 'work', { suspend: true }));
    const keys = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(
      keys.map((key) =>
        engine.drover.jobs.patch('busy', { metadata: { annotations: { [key]: 'x' } } }),
      ),
    );
    const { metadata } = await engine.drover.jobs.get('busy');
    expect(Object.keys(metadata.annotations ?? {}).toSorted()).toEqual(keys);
  });

  test('a function makes the new Job of the stored one, and is asked again after a race', async () => {
    await engine.drover.jobs.create(handlerJob('counted', 'work', { suspend: true }));
    let calls = 0;
    const increment = () =>
      engine.drover.jobs.update('counted', (stored) => {
        calls += 1;
        const count = Number(stored.metadata.annotations?.['count'] ?? 0) + 1;
        const annotations = { ...stored.metadata.annotations, count: String(count) };
        return { ...stored, metadata: { ...stored.metadata, annotations } };
      });
    await Promise.all([increment(), increment(), increment()]);
    const { metadata } = await engine.drover.jobs.get('counted');
    expect(metadata.annotations?.['count']).toBe('3');
    expect(calls).toBeGreaterThan(3);
  });

  test('an update that was made for another version is a conflict; a dry run stores nothing', async () => {
    const job = await createIdle('versioned');
    const warnings: string[] = [];
    const tolerations = [{ operator: 'Exists' }];
    const podSpec = { ...job.spec.template.spec, tolerations };
    const template = { ...job.spec.template, spec: podSpec };
    await engine.drover.jobs.patch('versioned', { metadata: { labels: { a: '1' } } });
    const dry = await engine.drover.jobs.update(
      'versioned',
      (stored) => ({ ...stored, spec: { ...stored.spec, template } }),
      { dryRun: true, onWarning: (warning) => warnings.push(warning) },
    );
    expect(dry.spec.template.spec.tolerations).toEqual(tolerations);
    expect(warnings).toEqual([expect.stringContaining('tolerations: no effect')]);
    const { spec } = await engine.drover.jobs.get('versioned');
    expect(spec.template.spec.tolerations).toBeUndefined();
    await expect(engine.drover.jobs.update('versioned', () => job)).rejects.toThrow(ConflictError);
  });

  test('suspend and resume show in the conditions', async () => {
    await engine.drover.jobs.create(handlerJob('paused', 'work'));
    const watch = engine.drover.jobs.watch({ name: 'paused' });
    const shows = (status: 'True' | 'False') => (event: JobEvent) =>
      event.job.status.conditions?.some(
        (one) => one.type === 'Suspended' && one.status === status,
      ) === true;
    await engine.drover.jobs.suspend('paused');
    expect((await until(watch, shows('True'))).job.status.startTime).toBeUndefined();
    await engine.drover.jobs.resume('paused');
    expect((await until(watch, shows('False'))).job.spec.suspend).toBe(false);
    await watch.return(undefined);
  });
});

describe('apply', () => {
  test('creates, leaves alone, changes and removes', async () => {
    const manifest = { ...handlerJob('applied', 'work', { parallelism: 2, completions: 4 }) };
    const labelled = { ...manifest, metadata: { name: 'applied', labels: { a: '1', b: '2' } } };
    expect((await engine.drover.jobs.apply(labelled)).action).toBe('created');
    expect((await engine.drover.jobs.apply(labelled)).action).toBe('unchanged');
    await engine.drover.jobs.patch('applied', { metadata: { labels: { others: 'x' } } });

    const changed = {
      ...handlerJob('applied', 'work', { parallelism: 3, completions: 4 }),
      metadata: { name: 'applied', labels: { a: '1' } },
    };
    const { job, action } = await engine.drover.jobs.apply(changed);
    expect(action).toBe('configured');
    expect(job.spec.parallelism).toBe(3);
    expect(job.metadata.labels).toEqual({ a: '1', others: 'x' });
  });

  test('an immutable change is refused and nothing is written', async () => {
    await engine.drover.jobs.apply(handlerJob('template', 'work'));
    const change = engine.drover.jobs.apply(handlerJob('template', 'other'));
    await expect(change).rejects.toThrow(/spec\.template: .*field is immutable/);
  });
});

describe('watch', () => {
  test('tells what is there, what comes, what changes and what goes', async () => {
    const options = { namespace: 'watched' };
    await engine.drover.jobs.create(handlerJob('before', 'work', { suspend: true }), options);
    const watch = engine.drover.jobs.watch(options);
    const first = await until(watch, () => true);
    expect([first.type, first.job.metadata.name]).toEqual(['ADDED', 'before']);

    await engine.drover.jobs.create(handlerJob('after', 'work', { suspend: true }), options);
    const named = (name: string, type: string) => (event: JobEvent) =>
      event.type === type && event.job.metadata.name === name;
    await until(watch, named('after', 'ADDED'));
    await engine.drover.jobs.patch('after', { metadata: { labels: { x: 'y' } } }, options);
    const changed = await until(
      watch,
      (event) => named('after', 'MODIFIED')(event) && event.job.metadata.labels?.['x'] === 'y',
    );
    expect(changed.job.metadata.namespace).toBe('watched');
    await engine.drover.jobs.delete('before', options);
    await until(watch, named('before', 'DELETED'));
    await watch.return(undefined);
  });

  test('a Job that stops to match the selector is gone for the watch', async () => {
    await engine.drover.jobs.create(handlerJob('leaving', 'work', { suspend: true }));
    const watch = engine.drover.jobs.watch({ labelSelector: 'app=leaving' });
    await until(watch, ({ type }) => type === 'ADDED');
    await engine.drover.jobs.patch('leaving', { metadata: { labels: { app: 'gone' } } });
    expect((await until(watch, ({ type }) => type === 'DELETED')).job.metadata.name).toBe(
      'leaving',
    );
    await watch.return(undefined);
  });

  test('a signal ends it', async () => {
    const controller = new AbortController();
    const events: JobEvent[] = [];
    const watch = engine.drover.jobs.watch({ namespace: 'silent', signal: controller.signal });
    setImmediate(() => controller.abort());
    for await (const event of watch) events.push(event);
    expect(events).toEqual([]);
  });

  test('leaving the loop over all namespaces ends it', async () => {
    for await (const { type } of engine.drover.jobs.watch({ allNamespaces: true })) {
      expect(type).toBe('ADDED');
      break;
    }
  });
});

describe('wait', () => {
  test('gives up after its time', async () => {
    await engine.drover.jobs.create(handlerJob('slow', 'work'));
    const wait = engine.drover.jobs.wait('slow', { for: 'complete', timeoutMs: 50 });
    await expect(wait).rejects.toThrow(TimeoutError);
    await expect(wait).rejects.toThrow('Job "slow" was not complete after 0.05 s');
  });

  test('of a Job that does not exist fails at once', async () => {
    await expect(engine.drover.jobs.wait('nobody')).rejects.toThrow(NotFoundError);
  });

  test('fails when the Job is deleted meanwhile', async () => {
    const job = await engine.drover.jobs.create(handlerJob('deleted', 'work'));
    const wait = engine.drover.jobs.wait(job);
    await engine.drover.jobs.delete(job);
    await expect(wait).rejects.toThrow(NotFoundError);
  });

  test('any number of waits take one connection, which is closed with the last', async () => {
    const redis = engine.redis.connect();
    const connections = async () =>
      String(await redis.client('LIST'))
        .trim()
        .split('\n').length;
    const names = Array.from({ length: 40 }, (_, i) => `crowd-${i}`);
    await Promise.all(names.map((name) => engine.drover.jobs.create(handlerJob(name, 'work'))));
    const before = await connections();
    const outcomes = names.map((name) =>
      engine.drover.jobs.wait(name).then(
        () => 'ended',
        (error: unknown) => (error instanceof NotFoundError ? 'deleted' : error),
      ),
    );
    await waitFor(async () => String(await redis.client('LIST')).includes('cmd=xread'));
    expect(await connections()).toBe(before + 1);
    await Promise.all(names.map((name) => engine.drover.jobs.delete(name)));
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['deleted']));
    await waitFor(async () => (await connections()) === before);
    redis.disconnect();
  });

  test('reads a Job when it begins and when it ended, not with each change', async () => {
    const redis = engine.redis.connect();
    const reads = async (): Promise<number> =>
      Number(/^cmdstat_hgetall:calls=(\d+)/m.exec(await redis.info('commandstats'))?.[1] ?? 0);
    const suspended = handlerJob('rarely-read', 'work', { suspend: true });
    const job = await engine.drover.jobs.create(suspended);
    const atFirst = await reads();
    const waits = Array.from({ length: 50 }, () => engine.drover.jobs.wait(job));
    await waitFor(async () => (await reads()) >= atFirst + 50);
    const before = await reads();
    for (let i = 0; i < 5; i++) {
      await engine.drover.jobs.patch(job, { metadata: { labels: { change: String(i) } } });
    }
    // Those of patch and controller, some for each change; with all that wait it would be 50 more for each.
    expect((await reads()) - before).toBeLessThan(150);
    await engine.drover.jobs.patch(job, { spec: { suspend: false, activeDeadlineSeconds: 0 } });
    await expect(engine.drover.jobs.wait(job, { for: 'complete' })).rejects.toThrow('is Failed');
    for (const ended of await Promise.all(waits)) {
      expect(ended.status?.conditions?.at(-1)).toMatchObject({ type: 'Failed' });
    }
    redis.disconnect();
  });

  test('a timeout longer than a timer can be is no timeout of a millisecond', async () => {
    const job = await engine.drover.jobs.create(handlerJob('patient', 'work'));
    const wait = engine.drover.jobs.wait(job, { timeoutMs: 2 ** 40 });
    await engine.drover.jobs.patch(job, { spec: { activeDeadlineSeconds: 0 } });
    expect((await wait).status?.conditions?.at(-1)).toMatchObject({ reason: 'DeadlineExceeded' });
  });

  test('goes on when its connection was cut', async () => {
    const redis = engine.redis.connect();
    const job = await engine.drover.jobs.create(handlerJob('cut', 'work'));
    const wait = engine.drover.jobs.wait(job).catch((error: unknown) => error);
    await waitFor(async () => String(await redis.client('LIST')).includes('cmd=xread'));
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await engine.drover.jobs.delete(job);
    expect(await wait).toBeInstanceOf(NotFoundError);
    redis.disconnect();
  });

  test('ends with its signal', async () => {
    await engine.drover.jobs.create(handlerJob('aborted', 'work'));
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(engine.drover.jobs.wait('aborted', { signal })).rejects.toThrow('enough');
  });
});
