import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  AlreadyExistsError,
  ConflictError,
  InvalidSpecError,
  NotFoundError,
  SecretKeyError,
} from '@drover/shared';
import { newSecretKey } from '@drover/store';
import { startRedis, uniquePrefix, waitFor, type TestRedis } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { Drover } from '../src/index.ts';

let server: TestRedis;
let directory: string;
let prefix: string;
let drover: Drover;

beforeAll(async () => {
  server = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'drover-keys-'));
  await writeFile(join(directory, 'key'), newSecretKey());
});
afterAll(async () => {
  await rm(directory, { recursive: true });
  await server.stop();
});
beforeEach(() => {
  prefix = uniquePrefix();
  drover = client(join(directory, 'key'));
});
afterEach(() => drover.close());

/** A client; '' = without a key file. */
function client(secretKeyFile: string): Drover {
  return new Drover({ connection: server.url, prefix, secretKeyFile });
}

function named(name: string, content: object = {}, metadata: object = {}) {
  return { metadata: { name, ...metadata }, ...content };
}

describe('ConfigMaps', () => {
  test('are created, read, changed and deleted', async () => {
    const { configMaps } = drover;
    const made = await configMaps.create(named('a', { data: { x: '1', y: '2' } }));
    expect(made.metadata.resourceVersion).toMatch(/^\d+$/);
    expect(await configMaps.get('a')).toEqual(made);

    const patched = await configMaps.patch('a', { data: { x: '3', y: null } });
    expect(patched.data).toEqual({ x: '3' });
    expect(await configMaps.get('a')).toEqual(patched);
    await expect(configMaps.update({ ...made, data: {} })).rejects.toThrow(ConflictError);
    const replaced = await configMaps.update({ ...patched, data: { z: '' } });
    expect((await configMaps.get('a')).data).toEqual({ z: '' });
    // What changes nothing is not written.
    expect(await configMaps.update(replaced)).toEqual(replaced);

    await configMaps.delete('a');
    await expect(configMaps.get('a')).rejects.toThrow(NotFoundError);
    await expect(configMaps.delete('a')).rejects.toThrow(
      'configmaps "a" in namespace "default" not found',
    );
  });

  test('of a name that is taken is refused; with the same uid it is the same', async () => {
    const uid = randomUUID();
    const made = await drover.configMaps.create(named('a'), { uid });
    expect(await drover.configMaps.create(named('a'), { uid })).toEqual(made);
    await expect(drover.configMaps.create(named('a'))).rejects.toThrow(AlreadyExistsError);
    await drover.configMaps.create(named('a', {}, { namespace: 'other' }));
    const generated = await drover.configMaps.create({ metadata: { generateName: 'a-' } });
    expect(generated.metadata.name).toMatch(/^a-[a-z0-9]{5}$/);
  });

  test('a dry run checks and stores nothing', async () => {
    await drover.configMaps.create(named('a', { data: { x: '1' } }), { dryRun: true });
    expect(await drover.configMaps.list()).toEqual([]);
    const wrong = drover.configMaps.create(named('a', { data: { 'x/y': '' } }), { dryRun: true });
    await expect(wrong).rejects.toThrow(InvalidSpecError);
  });

  test('are listed by labels and namespaces', async () => {
    for (const [name, namespace, app] of [
      ['b', 'one', 'x'],
      ['a', 'one', 'y'],
      ['c', 'two', 'x'],
    ]) {
      await drover.configMaps.create(named(name ?? '', {}, { namespace, labels: { app } }));
    }
    const names = async (options: object) =>
      (await drover.configMaps.list(options)).map(({ metadata }) => metadata.name);
    expect(await names({ namespace: 'one' })).toEqual(['a', 'b']);
    expect(await names({ allNamespaces: true, labelSelector: 'app=x' })).toEqual(['b', 'c']);
    expect(await names({ allNamespaces: true, limit: 2 })).toEqual(['a', 'b']);
  });

  test('apply creates, changes what the manifest says, and removes what it says no more', async () => {
    const apply = async (data: object) => {
      const { action, object } = await drover.configMaps.apply(named('a', { data }));
      return [action, object.data];
    };
    expect(await apply({ x: '1', y: '2' })).toEqual(['created', { x: '1', y: '2' }]);
    await drover.configMaps.patch('a', { data: { other: '0' } });
    expect(await apply({ x: '1', y: '2' })).toEqual(['unchanged', { x: '1', y: '2', other: '0' }]);
    expect(await apply({ x: '3' })).toEqual(['configured', { x: '3', other: '0' }]);
  });

  test('a watch tells what is there and what happens', async () => {
    await drover.configMaps.create(named('a', { data: { x: '1' } }, { labels: { app: 'x' } }));
    const ending = new AbortController();
    const told: string[] = [];
    const watch = async () => {
      const { signal } = ending;
      for await (const { type, object } of drover.configMaps.watch({
        labelSelector: 'app=x',
        signal,
      })) {
        told.push(`${type} ${object.metadata.name} ${object.data?.['x'] ?? ''}`);
      }
    };
    const watching = watch();
    await waitFor(() => told.length === 1);
    await drover.configMaps.create(named('b', { data: { x: '2' } }));
    // Other kinds and what the selector leaves out are nothing to it.
    await drover.secrets.create(named('a', {}, { labels: { app: 'x' } }));
    await drover.configMaps.patch('a', { data: { x: '3' } });
    await waitFor(() => told.length === 2);
    await drover.configMaps.patch('b', { metadata: { labels: { app: 'x' } } });
    await waitFor(() => told.length === 3);
    await drover.configMaps.delete('a');
    await waitFor(() => told.length === 4);
    ending.abort();
    await watching;
    expect(told).toEqual(['ADDED a 1', 'MODIFIED a 3', 'ADDED b 2', 'DELETED a 3']);
  });

  test('with a finalizer stays until that is taken away', async () => {
    await drover.configMaps.create(named('a', {}, { finalizers: ['example.com/keep'] }));
    expect(await drover.configMaps.delete('a')).toBe(false);
    const { metadata } = await drover.configMaps.get('a');
    expect(metadata.deletionTimestamp).toMatch(/^\d{4}-/);
    await drover.configMaps.patch('a', { metadata: { finalizers: [] } });
    await expect(drover.configMaps.get('a')).rejects.toThrow(NotFoundError);
  });
});

describe('Secrets', () => {
  const PASSWORD = 'correct horse';
  const base64 = Buffer.from(PASSWORD).toString('base64');

  test('are read as they were written, and nothing in Redis shows their data', async () => {
    const { object, action } = await drover.secrets.apply(
      named('a', { stringData: { p: PASSWORD } }),
    );
    expect([action, object.data]).toEqual(['created', { p: base64 }]);
    expect((await drover.secrets.get('a')).data).toEqual({ p: base64 });
    expect((await drover.secrets.apply(named('a', { stringData: { p: PASSWORD } }))).action).toBe(
      'unchanged',
    );

    const redis = server.connect();
    for (const key of await redis.keys(`{${prefix}*`)) {
      if ((await redis.type(key)) !== 'hash') continue;
      const text = JSON.stringify(await redis.hgetall(key));
      expect(text).not.toContain(PASSWORD);
      expect(text).not.toContain(base64);
    }
    redis.disconnect();
  });

  test('a text that apply says no more is removed', async () => {
    await drover.secrets.apply(named('a', { stringData: { p: PASSWORD, q: 'x' } }));
    const { object } = await drover.secrets.apply(named('a', { stringData: { p: PASSWORD } }));
    expect(object.data).toEqual({ p: base64 });
  });

  test('without a key file are listed and deleted, and nothing else', async () => {
    await drover.secrets.create(
      named('a', { stringData: { p: PASSWORD } }, { labels: { app: 'x' } }),
    );
    const keyless = client('');
    for (const act of [
      () => keyless.secrets.create(named('b')),
      () => keyless.secrets.create(named('b'), { dryRun: true }),
      () => keyless.secrets.get('a'),
      () => keyless.secrets.list(),
      () => keyless.secrets.patch('a', { metadata: { labels: { app: 'y' } } }),
    ]) {
      await expect(act()).rejects.toThrow(SecretKeyError);
      await expect(act()).rejects.toThrow('drover secret-key create FILE');
    }
    const [summary] = await keyless.secrets.summaries({ labelSelector: 'app=x' });
    expect(summary).toMatchObject({ metadata: { name: 'a' }, sizes: { p: PASSWORD.length } });
    await keyless.secrets.delete('a');
    expect(await keyless.secrets.summaries()).toEqual([]);
    await keyless.close();
  });

  test('are encrypted anew with the first key', async () => {
    await drover.secrets.create(named('a', { stringData: { p: PASSWORD } }));
    const path = join(directory, 'rotated');
    const second = newSecretKey();
    await writeFile(path, second);
    const rotated = client(path);
    await expect(rotated.secrets.reseal('a')).rejects.toThrow('is encrypted with the key');
    await writeFile(path, `${second}\n${await readFile(join(directory, 'key'), 'utf8')}`);
    expect(await rotated.secrets.reseal('a')).toBe(true);
    expect(await rotated.secrets.reseal('a')).toBe(false);
    await writeFile(path, second);
    const fresh = client(path);
    expect((await fresh.secrets.get('a')).data).toEqual({ p: base64 });
    await Promise.all([rotated.close(), fresh.close()]);
  });
});
