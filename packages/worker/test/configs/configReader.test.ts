import { SecretKeyFile, type StoredObject } from '@drover/store';
import { beforeEach, expect, test } from 'vitest';

import { ConfigReader } from '../../src/configs/configReader.ts';
import type { ObjectPort } from '../../src/shardPort.ts';

/** A shard with ConfigMaps whose content has so many bytes; counts how often one is read. */
class Objects implements ObjectPort {
  readonly objectChannel = '';
  readonly versions = new Map<string, number>();
  bytes = 10;
  reads = 0;

  objectVersions(paths: readonly { readonly name: string }[]): Promise<(number | null)[]> {
    return Promise.resolve(paths.map(({ name }) => this.versions.get(name) ?? null));
  }

  getObject(path: { kind: string; namespace: string; name: string }): Promise<StoredObject | null> {
    this.reads += 1;
    const data = { version: String(this.versions.get(path.name)), text: 'x'.repeat(this.bytes) };
    const object = JSON.stringify({ metadata: {}, data });
    const stored = { uid: 'u', resourceVersion: 1, createdMs: 0, deletedMs: null, object };
    return Promise.resolve({ ...path, ...stored });
  }
}

let objects: Objects;
let reader: ConfigReader;

beforeEach(() => {
  objects = new Objects();
  reader = new ConfigReader(new SecretKeyFile(''));
});

async function read(name: string): Promise<string | undefined> {
  const ref = { kind: 'ConfigMap' as const, name };
  const set = await reader.read(objects, 'default', [ref]);
  return set.get(ref, true)?.texts['version'];
}

test('many pods at once, and one after the other, read an object once', async () => {
  objects.versions.set('a', 1);
  await Promise.all(Array.from({ length: 50 }, () => read('a')));
  for (let i = 0; i < 50; i++) expect(await read('a')).toBe('1');
  expect(objects.reads).toBe(1);
});

test('what was changed is read anew by the next pod, what is gone is gone', async () => {
  objects.versions.set('a', 1);
  await read('a');
  objects.versions.set('a', 2);
  expect(await read('a')).toBe('2');
  objects.versions.delete('a');
  expect(await read('a')).toBeUndefined();
});

test('what is kept is bounded; what was used last stays', async () => {
  objects.bytes = 1024 * 1024;
  for (let i = 0; i < 20; i++) {
    objects.versions.set(`m${i}`, 1);
    await read(`m${i}`);
    await read('m0');
  }
  expect(objects.reads).toBe(20);
  await read('m1');
  expect(objects.reads).toBe(21);
  await read('m0');
  expect(objects.reads).toBe(21);
});

test('a read that failed is tried again', async () => {
  objects.versions.set('a', 1);
  const { getObject } = objects;
  objects.getObject = () => Promise.reject(new Error('away'));
  await expect(read('a')).rejects.toThrow('away');
  objects.getObject = getObject;
  expect(await read('a')).toBe('1');
});
