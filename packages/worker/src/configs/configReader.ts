import { CONFIG_MAP_KIND, SecretKeyError } from '@drover/shared';
import {
  composeObject,
  unsealSecret,
  type ObjectPath,
  type SecretKeyFile,
  type StoredObject,
} from '@drover/store';

import type { ObjectPort } from '../shardPort.ts';
import {
  configMapContent,
  ConfigProblem,
  ConfigSet,
  refKey,
  secretContent,
  type ConfigContent,
  type ConfigRef,
} from './configContent.ts';

/** Most that is kept of what was read, about. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;

/** What was read of an object when it had this version. */
interface Known {
  readonly version: number;
  readonly content: Promise<ConfigContent | null>;
  bytes: number;
}

/**
 * Reads ConfigMaps and Secrets for pods. What was read is kept, and used again as long as the object
 * has the same version: that is asked each time, so a pod sees every change that was made before it
 * started, and ten thousand pods read an object once.
 */
export class ConfigReader {
  readonly #keyFile: SecretKeyFile;
  /** In order of use. */
  readonly #known = new Map<string, Known>();
  #keptBytes = 0;

  constructor(keyFile: SecretKeyFile) {
    this.#keyFile = keyFile;
  }

  /**
   * Reads objects of a namespace.
   *
   * @throws ConfigProblem when a Secret can not be decrypted here.
   */
  async read(port: ObjectPort, namespace: string, refs: readonly ConfigRef[]): Promise<ConfigSet> {
    const paths = refs.map((ref) => ({ ...ref, namespace }));
    const versions = await port.objectVersions(paths);
    const contents = await Promise.all(
      paths.map(async (path, i) => {
        const version = versions[i] ?? null;
        const content = version === null ? null : await this.#content(port, path, version);
        return [refKey(path), content] as const;
      }),
    );
    return new ConfigSet(new Map(contents));
  }

  #content(
    port: ObjectPort,
    path: ObjectPath & ConfigRef,
    version: number,
  ): Promise<ConfigContent | null> {
    const key = `${path.namespace}/${refKey(path)}`;
    const before = this.#known.get(key);
    if (before !== undefined) this.#forget(key, before);
    if (before?.version === version) {
      this.#keep(key, before);
      return before.content;
    }
    const known: Known = { version, content: this.#fetch(port, path), bytes: 0 };
    this.#keep(key, known);
    known.content.then(
      (content) => this.#weigh(key, known, content),
      () => this.#forget(key, known),
    );
    return known.content;
  }

  async #fetch(port: ObjectPort, path: ObjectPath & ConfigRef): Promise<ConfigContent | null> {
    const stored = await port.getObject(path);
    if (stored === null) return null;
    if (path.kind === 'ConfigMap') return configMapContent(composeObject(CONFIG_MAP_KIND, stored));
    return secretContent(await this.#unseal(stored));
  }

  async #unseal(stored: StoredObject): ReturnType<typeof unsealSecret> {
    try {
      return await unsealSecret(stored, this.#keyFile);
    } catch (error) {
      if (!(error instanceof SecretKeyError)) throw error;
      throw new ConfigProblem(error.message, { isOfHost: true });
    }
  }

  #keep(key: string, known: Known): void {
    this.#known.set(key, known);
    this.#keptBytes += known.bytes;
  }

  #forget(key: string, known: Known): void {
    if (this.#known.get(key) !== known) return;
    this.#known.delete(key);
    this.#keptBytes -= known.bytes;
  }

  #weigh(key: string, known: Known, content: ConfigContent | null): void {
    if (this.#known.get(key) !== known) return;
    known.bytes = key.length;
    for (const bytes of content?.files.values() ?? []) known.bytes += bytes.length;
    this.#keptBytes += known.bytes;
    for (const [oldest, other] of this.#known) {
      if (this.#keptBytes <= MAX_KEPT_BYTES) break;
      this.#forget(oldest, other);
    }
  }
}
