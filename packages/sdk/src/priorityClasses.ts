import {
  ForbiddenError,
  isSystemPriorityClass,
  PRIORITY_CLASS_KIND,
  type PriorityClass,
} from '@drover/shared';
import { composeObject, objectText, type StoredObject } from '@drover/store';

import type { Backend } from './backend.ts';
import type { NamespaceOptions } from './jobs.ts';
import {
  ObjectsClient,
  type ChangeObjectOptions,
  type CreateObjectOptions,
  type ObjectManifest,
} from './objects.ts';
import { isPlainObject } from './mergePatch.ts';
import type { ObjectRef } from './refs.ts';

/** PriorityClasses: how important pods are. They belong to no namespace. */
export class PriorityClassesClient extends ObjectsClient<PriorityClass> {
  constructor(backend: Backend) {
    super(backend, '', {
      kind: PRIORITY_CLASS_KIND,
      encode: objectText,
      decode: (stored: StoredObject) => composeObject(PRIORITY_CLASS_KIND, stored),
      normalize: (manifest) => manifest,
    });
  }

  /** As of all objects. @throws ForbiddenError for a second default. */
  override async create(
    manifest: ObjectManifest,
    options: CreateObjectOptions = {},
  ): Promise<PriorityClass> {
    await this.#refuseSecondDefault(manifest);
    return await super.create(manifest, options);
  }

  /** As of all objects. @throws ForbiddenError for a second default. */
  override async change(
    ref: ObjectRef,
    change: (stored: PriorityClass) => unknown,
    options: ChangeObjectOptions = {},
  ): Promise<PriorityClass> {
    await this.#refuseSecondDefault(change(await this.get(ref)));
    return await super.change(ref, change, options);
  }

  /** As of all objects. @throws ForbiddenError for those of the system. */
  override async delete(ref: ObjectRef, options: NamespaceOptions = {}): Promise<boolean> {
    const { metadata } = await this.get(ref, options);
    if (isSystemPriorityClass(metadata.name)) {
      throw new ForbiddenError(this.reference(metadata), 'it is always there');
    }
    return await super.delete(ref, options);
  }

  /** Two that are written in the same moment may both be: of them the lower one counts. */
  async #refuseSecondDefault(object: unknown): Promise<void> {
    if (!isPlainObject(object) || object['globalDefault'] !== true) return;
    const metadata = isPlainObject(object['metadata']) ? object['metadata'] : {};
    const name = typeof metadata['name'] === 'string' ? metadata['name'] : '';
    const other = (await this.list()).find(
      (one) => one.globalDefault === true && one.metadata.name !== name,
    );
    if (other === undefined) return;
    const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`;
    throw new ForbiddenError(this.reference({ name, namespace: '' }), why);
  }
}
