import {
  CONFIG_MAP_KIND,
  foldStringData,
  SECRET_KIND,
  type ConfigMap,
  type Secret,
} from '@drover/shared';
import {
  composeObject,
  objectText,
  sealSecret,
  summarizeSecret,
  unsealSecret,
  type SecretKeyFile,
  type SecretSummary,
} from '@drover/store';

import type { Backend } from './backend.ts';
import type { ListOptions, NamespaceOptions } from './jobs.ts';
import { ObjectsClient, type WatchObjectsOptions } from './objects.ts';
import type { ObjectEvent } from './objectWatch.ts';
import type { ObjectRef } from './refs.ts';

/** ConfigMaps: settings for pods, in plain text. */
export class ConfigMapsClient extends ObjectsClient<ConfigMap> {
  constructor(backend: Backend, namespace: string) {
    super(backend, namespace, {
      kind: CONFIG_MAP_KIND,
      encode: objectText,
      decode: (stored) => composeObject(CONFIG_MAP_KIND, stored),
      normalize: (manifest) => manifest,
    });
  }
}

/**
 * Secrets: passwords, keys and the like for pods. They are encrypted with the key file of the
 * installation before they leave this process; without it they can be listed and deleted, and nothing else.
 */
export class SecretsClient extends ObjectsClient<Secret> {
  readonly #keyFile: SecretKeyFile;

  constructor(backend: Backend, namespace: string, keyFile: SecretKeyFile) {
    super(backend, namespace, {
      kind: SECRET_KIND,
      encode: async (secret) => sealSecret(secret, await keyFile.read()),
      decode: (stored) => unsealSecret(stored, keyFile),
      normalize: foldStringData,
    });
    this.#keyFile = keyFile;
  }

  /** What can be said of a Secret without its key: all but its data, of which it has the sizes. @throws NotFoundError */
  async summary(ref: ObjectRef, options: NamespaceOptions = {}): Promise<SecretSummary> {
    return summarizeSecret(await this.readStored(ref, options));
  }

  /** The same of all Secrets, in order of namespace and name. */
  async summaries(options: ListOptions = {}): Promise<SecretSummary[]> {
    return (await this.listStored(options)).map(summarizeSecret);
  }

  /** As `watch`, of what can be said without the key. */
  async *watchSummaries(
    options: WatchObjectsOptions = {},
  ): AsyncGenerator<ObjectEvent<SecretSummary>> {
    yield* this.watchAs(options, summarizeSecret);
  }

  /**
   * Encrypts a Secret anew when that was done with another key than the first of the key file.
   *
   * @returns Whether it was.
   * @throws SecretKeyError when the key it is encrypted with is not in the file.
   */
  async reseal(ref: ObjectRef, options: NamespaceOptions = {}): Promise<boolean> {
    const { id } = await this.#keyFile.read();
    return await this.rewrite(ref, options, (stored) => summarizeSecret(stored).keyId !== id);
  }
}
