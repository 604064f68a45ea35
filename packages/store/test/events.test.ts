import { waitFor } from '@drover/testkit';
import { describe, expect, test } from 'vitest';
import { EventRecorder } from '../src/eventRecorder.ts';
import { type CountedEvent, eventPath, type Events, type NewEvent } from '../src/events.ts';
import { StoreBed, T0 } from './support/bed.ts';

const HOUR_MS = 3_600_000;

let bed: StoreBed;
let events: Events;

StoreBed.forEachTest((fresh) => {
  bed = fresh;
  ({ events } = bed.shard);
});

function event(over: Partial<NewEvent> = {}, name = 'pi'): NewEvent {
  return {
    about: { apiVersion: 'batch/v1', kind: 'Job', namespace: 'default', name, uid: 'u1' },
    type: 'Normal',
    reason: 'SuccessfulCreate',
    message: 'Created pod: pi-bcdfg',
    component: 'job-controller',
    ...over,
  };
}

function counted(one: NewEvent, count = 1, isInAll = false): CountedEvent {
  return { event: one, path: eventPath(one), count, isInAll };
}

const list = async (namespace: string | null = null) => await events.list({ namespace });

test('what is deleted is gone, in the order of who asks; a deletion that comes twice finds nothing', async () => {
  const others = ['a', 'b', 'c'].map((name) => counted(event({}, name)));
  await events.record('w', 1, others);
  const [a, b] = await list();
  const wanted = [
    { namespace: 'default', name: a!.metadata.name, version: '1' },
    { namespace: 'default', name: 'none', version: null },
    { namespace: 'default', name: b!.metadata.name, version: b!.metadata.resourceVersion },
  ];
  expect(await events.delete(wanted)).toEqual(['conflict', 'notFound', 'deleted']);
  expect(await events.delete(wanted)).toEqual(['conflict', 'notFound', 'notFound']);
  expect((await list()).map(({ involvedObject }) => involvedObject.name)).toEqual(['a', 'c']);
  expect((await events.changedSince(0)).map(({ involvedObject }) => involvedObject.name)).toEqual([
    'a',
    'c',
  ]);
  // It happens again: that is a new one.
  await events.record('w', 2, [others[1]!]);
  expect((await list())[1]).toMatchObject({ involvedObject: { name: 'b' }, count: 1 });
  await events.deleteIn('default');
  expect(await list()).toEqual([]);
});

describe('record', () => {
  test('keeps what happened as an Event of core/v1', async () => {
    await events.record('w', 1, [counted(event())]);
    const [found] = await list();
    expect(found).toMatchObject({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace: 'default', creationTimestamp: '2026-01-15T12:00:00Z' },
      involvedObject: { apiVersion: 'batch/v1', kind: 'Job', name: 'pi', uid: 'u1' },
      type: 'Normal',
      reason: 'SuccessfulCreate',
      message: 'Created pod: pi-bcdfg',
      source: { component: 'job-controller' },
      count: 1,
      firstTimestamp: '2026-01-15T12:00:00Z',
      lastTimestamp: '2026-01-15T12:00:00Z',
    });
    expect(found?.metadata.name).toMatch(/^pi\.[0-9a-f]{16}$/);
    expect(await events.get('default', found!.metadata.name)).toEqual(found);
    expect(await events.get('default', 'pi.none')).toBeNull();
  });

  test('counts the same thing, with its newest message and the time of the first', async () => {
    const shaped = (message: string) => counted(event({ message, shape: 'created' }), 3);
    await events.record('w', 1, [shaped('Created pod: a')]);
    bed.clock.advance(5_000);
    await events.record('w', 2, [shaped('Created pod: b')]);
    expect(await list()).toMatchObject([
      {
        message: 'Created pod: b',
        count: 6,
        firstTimestamp: '2026-01-15T12:00:00Z',
        lastTimestamp: '2026-01-15T12:00:05Z',
      },
    ]);
  });

  test('a batch that comes twice counts once, also beside those of others', async () => {
    expect(await events.record('w', 1, [counted(event())])).toBe('recorded');
    await events.record('other', 1, [counted(event())]);
    expect(await events.record('w', 1, [counted(event())])).toBe('replayed');
    expect(await list()).toMatchObject([{ count: 2 }]);
  });

  test('a count in all is never lowered, and writes nothing when it is known', async () => {
    await events.record('w', 1, [counted(event(), 7, true)]);
    const version = (await events.span()).newest;
    bed.clock.advance(5_000);
    await events.record('other', 1, [counted(event(), 5, true)]);
    await events.record('other', 2, [counted(event(), 7, true)]);
    expect((await events.span()).newest).toBe(version);
    await events.record('other', 3, [counted(event(), 9, true)]);
    expect(await list()).toMatchObject([{ count: 9, lastTimestamp: '2026-01-15T12:00:05Z' }]);
  });

  test('forgets what did not happen again for an hour, and all an hour after the last', async () => {
    await events.record('w', 1, [counted(event({ reason: 'Old' })), counted(event())]);
    bed.clock.advance(HOUR_MS - 1);
    await events.record('w', 2, [counted(event())]);
    expect(await list()).toHaveLength(2);
    bed.clock.advance(1);
    expect(await list()).toMatchObject([{ reason: 'SuccessfulCreate' }]);
    await events.record('w', 3, [counted(event({ reason: 'New' }))]);
    const { events: key, eventNames, eventVersions } = bed.shard.keys;
    expect(await bed.redis.zcard(eventNames)).toBe(2);
    for (const each of [key, eventNames, eventVersions]) {
      const ttlMs = await bed.redis.pttl(each);
      expect(ttlMs).toBeGreaterThan(0);
      expect(ttlMs).toBeLessThanOrEqual(HOUR_MS);
    }
  });

  test('for how long is the installation’s to say', async () => {
    await events.setTtl(1_000);
    await events.record('w', 1, [counted(event())]);
    bed.clock.advance(999);
    expect(await list()).toHaveLength(1);
    bed.clock.advance(1);
    expect(await list()).toEqual([]);
  });

  test('keeps no more than 10,000, the newest', async () => {
    for (let batch = 1; batch <= 105; batch++) {
      bed.clock.advance(1);
      const many = Array.from({ length: 100 }, (_, i) => event({}, `j${batch}-${i}`));
      await events.record(
        'w',
        batch,
        many.map((one) => counted(one)),
      );
    }
    const found = await list();
    expect(found).toHaveLength(9_999);
    expect(found.map(({ involvedObject }) => involvedObject.name)).not.toContain('j1-0');
    expect(await bed.redis.hlen(bed.shard.keys.events)).toBe(10_000);
  });
});

describe('list', () => {
  test('of one namespace, and of one object', async () => {
    const about = event().about;
    const others = [
      event({}, 'pi.two'),
      event({}, 'pip'),
      event({ about: { ...about, namespace: 'default0' } }),
      event({ about: { apiVersion: 'v1', kind: 'Node', name: 'pi', uid: 'n' } }),
    ];
    await events.record(
      'w',
      1,
      [event(), ...others].map((one) => counted(one)),
    );
    const objects = (found: Awaited<ReturnType<typeof list>>) =>
      found.map(({ involvedObject: { kind, name } }) => `${kind}/${name}`).toSorted();
    expect(await list()).toHaveLength(5);
    expect(objects(await list('default'))).toEqual(['Job/pi', 'Job/pi.two', 'Job/pip', 'Node/pi']);
    const ofPi = await events.list({ namespace: 'default', objectName: 'pi' });
    expect(objects(ofPi)).toEqual(['Job/pi', 'Node/pi']);
  });
});

describe('a recorder', () => {
  test('writes what it is told together, the same thing as one', async () => {
    const batches: (readonly CountedEvent[])[] = [];
    const recorder = new EventRecorder({
      events: {
        record: (writer, batch, some) => {
          batches.push(some);
          return events.record(writer, batch, some);
        },
      },
      onLost: () => expect.unreachable(),
    });
    for (let i = 0; i < 5; i++) recorder.record(event());
    recorder.record(event({ reason: 'Completed', message: 'Job completed' }));
    await recorder.flush();
    expect(batches).toHaveLength(1);
    const counts = (await list()).map(({ reason, count }) => [reason, count]);
    expect(Object.fromEntries(counts)).toEqual({ Completed: 1, SuccessfulCreate: 5 });
    await recorder.flush();
    expect(batches).toHaveLength(1);
    recorder.record(event());
    await waitFor(() => batches.length === 2);
  });

  test('writes what comes in the moment in which a writing ends', async () => {
    const isLateWritten = async (turns: number): Promise<void> => {
      const { promise: isRecorded, resolve: goOn } = Promise.withResolvers<'recorded'>();
      let writtenCount = 0;
      const recorder = new EventRecorder({
        events: {
          record: async (_writer, _batch, { length }) => {
            writtenCount += length;
            return await isRecorded;
          },
        },
        onLost: () => expect.unreachable(),
      });
      recorder.record(event({}, 'first'));
      void recorder.flush();
      goOn('recorded');
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      recorder.record(event({}, 'late'));
      await waitFor(() => writtenCount === 2);
    };
    // Whichever turn of the queue that moment is.
    await Promise.all(Array.from({ length: 12 }, (_, turns) => isLateWritten(turns)));
  });

  test('drops what is too much, and says how much that was', async () => {
    const lost: number[] = [];
    const { promise: isStuck, resolve: goOn } = Promise.withResolvers<'recorded'>();
    const recorder = new EventRecorder({
      events: { record: async () => await isStuck },
      onLost: (count) => lost.push(count),
    });
    for (let i = 0; i < 2_150; i++) recorder.record(event({}, `j${i}`));
    goOn('recorded');
    await recorder.flush();
    expect(lost).toEqual([50]);
  });

  test('goes on after a batch that could not be written', async () => {
    const lost: number[] = [];
    let isBroken = true;
    const recorder = new EventRecorder({
      events: {
        record: async (writer, batch, some) => {
          if (isBroken) throw new Error('OOM');
          return events.record(writer, batch, some);
        },
      },
      onLost: (count) => lost.push(count),
    });
    recorder.record(event());
    await recorder.flush();
    isBroken = false;
    recorder.record(event());
    await recorder.flush();
    expect(lost).toEqual([1]);
    expect(await list()).toMatchObject([
      { count: 1, firstTimestamp: new Date(T0).toISOString().replace('.000', '') },
    ]);
  });
});
