import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CONFIG_MAP_KIND, parseObject, SECRET_KIND } from '@drover/shared';
import {
  newSecretKey,
  objectText,
  readPodLog,
  sealSecret,
  SecretKeys,
  type ContainerRecord,
} from '@drover/store';

import type { TestEngine } from './engine.ts';

/** Writes ConfigMaps and Secrets, and sees what pods make of them. */
export class TestConfigs {
  readonly directory: string;
  /** Of the key file. */
  readonly keyPath: string;
  readonly #keys: SecretKeys;

  private constructor(directory: string, keyPath: string, key: string) {
    this.directory = directory;
    this.keyPath = keyPath;
    this.#keys = SecretKeys.parse(key, keyPath);
  }

  static async make(): Promise<TestConfigs> {
    const directory = await mkdtemp(join(tmpdir(), 'drover-configs-'));
    const key = newSecretKey();
    await writeFile(join(directory, 'key'), key);
    return new TestConfigs(directory, join(directory, 'key'), key);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Creates a ConfigMap, or replaces it. */
  async configMap(
    engine: TestEngine,
    name: string,
    data: Record<string, string>,
    binaryData: Record<string, string> = {},
  ): Promise<void> {
    const made = parseObject(CONFIG_MAP_KIND, { metadata: { name }, data, binaryData });
    await this.#put(engine, 'ConfigMap', name, () => objectText(made));
  }

  /** Creates a Secret, or replaces it. */
  async secret(
    engine: TestEngine,
    name: string,
    data: Record<string, Buffer | string>,
  ): Promise<void> {
    const encoded = Object.entries(data).map(([key, value]) => [
      key,
      Buffer.from(value).toString('base64'),
    ]);
    const made = parseObject(SECRET_KIND, {
      metadata: { name },
      data: Object.fromEntries(encoded),
    });
    await this.#put(engine, 'Secret', name, (uid) =>
      sealSecret({ ...made, metadata: { ...made.metadata, uid } }, this.#keys),
    );
  }

  async #put(
    engine: TestEngine,
    kind: string,
    name: string,
    text: (uid: string) => string,
  ): Promise<void> {
    const { objects } = engine.shard;
    const path = { kind, namespace: 'default', name };
    const known = await objects.get(path);
    const uid = known?.uid ?? randomUUID();
    const object = { ...path, uid, object: text(uid), finalizerCount: 0 };
    if (known === null) await objects.create(object);
    else await objects.update({ ...object, expectedResourceVersion: known.resourceVersion });
  }
}

/** How a container of a running pod is, or null when nothing is told of it. */
export async function containerOf(
  engine: TestEngine,
  uid: string,
  name = 'main',
): Promise<ContainerRecord | null> {
  const notes = await engine.shard.podNotes(uid, [1]);
  return notes.get(1)?.details?.containers.find((record) => record.name === name) ?? null;
}

/** What a pod wrote. */
export async function logOf(engine: TestEngine, uid: string): Promise<string> {
  let log = '';
  for await (const { text } of readPodLog(engine.redis, engine.shard.podLogKey(uid, 1)))
    log += text;
  return log;
}
