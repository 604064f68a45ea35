import { describe, expect, test } from 'vitest';
import type { NewObject } from '../src/objectApi.ts';
import type { Objects } from '../src/objects.ts';
import { StoreBed, T0 } from './support/bed.ts';

let bed: StoreBed;
let objects: Objects;

StoreBed.forEachTest((fresh) => {
  bed = fresh;
  ({ objects } = bed.shard);
});

function object(over: Partial<NewObject> = {}): NewObject {
  const path = { kind: 'ConfigMap', namespace: 'default', name: 'settings' };
  return { ...path, uid: 'u1', object: '{"data":{}}', finalizerCount: 0, ...over };
}

async function versionOf(one: NewObject): Promise<number> {
  return (await objects.get(one))?.resourceVersion ?? 0;
}

async function names(kind = 'ConfigMap'): Promise<string[]> {
  const { objects: found } = await objects.list(kind, { namespace: null, limit: 100 });
  return found.map(({ namespace, name }) => `${namespace}/${name}`);
}

describe('create', () => {
  test('stores an object, once for its uid, and refuses another one of the name', async () => {
    expect(await objects.create(object())).toMatchObject({ type: 'created', createdMs: T0 });
    expect(await objects.get(object())).toMatchObject({ uid: 'u1', object: '{"data":{}}' });
    expect((await objects.create(object({ object: '{}' }))).type).toBe('replayed');
    expect((await objects.create(object({ uid: 'u2' }))).type).toBe('alreadyExists');
    expect((await objects.get(object()))?.object).toBe('{"data":{}}');
  });

  test('a kind has names of its own', async () => {
    await objects.create(object());
    expect((await objects.create(object({ kind: 'Secret', uid: 'u2' }))).type).toBe('created');
    expect([await names(), await names('Secret')]).toEqual([
      ['default/settings'],
      ['default/settings'],
    ]);
  });

  test('that comes again after the delete does not bring the object back', async () => {
    await objects.create(object());
    await objects.delete(object());
    expect((await objects.create(object())).type).toBe('replayed');
    expect(await objects.get(object())).toBeNull();
    expect((await objects.create(object({ uid: 'u2' }))).type).toBe('created');
    expect(await names()).toEqual(['default/settings']);
    expect(await bed.redis.pttl(bed.shard.keys.object('ConfigMap', 'default', 'settings'))).toBe(
      -1,
    );
  });
});

describe('update', () => {
  test('replaces what was read, and nothing else', async () => {
    await objects.create(object());
    const expectedResourceVersion = await versionOf(object());
    const change = { ...object({ object: '{"data":{"a":"1"}}' }), expectedResourceVersion };
    const updated = await objects.update(change);
    expect(updated).toEqual({ type: 'updated', resourceVersion: await versionOf(object()) });
    expect(await versionOf(object())).toBeGreaterThan(expectedResourceVersion);
    expect((await objects.update(change)).type).toBe('conflict');
    expect((await objects.update({ ...change, uid: 'u2' })).type).toBe('notFound');
  });
});

describe('delete', () => {
  test('is about one object, not about its name', async () => {
    await objects.create(object());
    expect(await objects.delete(object({ uid: 'u2' }))).toBe('notFound');
    expect(await objects.delete(object())).toBe('deleted');
    expect(await objects.delete(object())).toBe('notFound');
    expect(await names()).toEqual([]);
  });

  test('of an object with finalizers waits for the last of them', async () => {
    await objects.create(object({ finalizerCount: 2 }));
    expect(await objects.delete(object())).toBe('terminating');
    const marked = await objects.get(object());
    expect(marked).toMatchObject({ deletedMs: T0 });
    expect(await objects.delete(object())).toBe('terminating');
    expect(await versionOf(object())).toBe(marked?.resourceVersion);

    const one = {
      ...object({ finalizerCount: 1 }),
      expectedResourceVersion: await versionOf(object()),
    };
    expect((await objects.update(one)).type).toBe('updated');
    const none = { ...object(), expectedResourceVersion: await versionOf(object()) };
    expect((await objects.update(none)).type).toBe('removed');
    expect(await objects.get(object())).toBeNull();
    expect(await names()).toEqual([]);
  });
});

test('lists by namespace, in order of names, page by page', async () => {
  for (const [uid, namespace, name] of [
    ['1', 'b', 'x'],
    ['2', 'a', 'z'],
    ['3', 'a', 'y'],
    ['4', 'a-b', 'w'],
  ] as const) {
    await objects.create(object({ uid, namespace, name }));
  }
  expect(await names()).toEqual(['a-b/w', 'a/y', 'a/z', 'b/x']);
  const first = await objects.list('ConfigMap', { namespace: 'a', limit: 1 });
  expect(first).toMatchObject({ objects: [{ name: 'y' }], next: 'a/y' });
  const after = first.next ?? '';
  const second = await objects.list('ConfigMap', { namespace: 'a', limit: 2, after });
  expect(second).toMatchObject({ objects: [{ name: 'z' }], next: null });
});

test('tells who waits which object changed', async () => {
  const subscriber = bed.store.openSubscriber();
  const told: string[] = [];
  await subscriber.subscribe(bed.shard.keys.objectChannel, (message) => told.push(message));
  await objects.create(object());
  await objects.update({ ...object(), expectedResourceVersion: await versionOf(object()) });
  await objects.delete(object());
  await expect.poll(() => told.length).toBe(3);
  expect(new Set(told)).toEqual(new Set(['ConfigMap default/settings']));
  subscriber.close();
});

test('versions are read without the objects', async () => {
  await objects.create(object());
  const none = object({ name: 'none' });
  expect(await objects.versions([object(), none])).toEqual([await versionOf(object()), null]);
});
