import { randomInt, randomUUID } from 'node:crypto';

import {
  AlreadyExistsError,
  ConflictError,
  ForbiddenError,
  NotFoundError,
  generateName,
  isSemanticallyEqual,
  matchesSelector,
  parseObject,
  parseObjectUpdate,
  quotaDenialText,
  type KeptObject,
  type ObjectKind,
} from '@drover/shared';
import {
  composeMetadata,
  type ObjectUpdated,
  ownersOf,
  type Shard,
  type StoredObject,
} from '@drover/store';

import { desired, lastApplied, withLastApplied } from './applied.ts';
import type { Backend } from './backend.ts';
import type { ListOptions, NamespaceOptions } from './jobs.ts';
import { byNamespaceAndName, namespaceOf, readSelector, type Scope, scopeOf } from './listing.ts';
import { mergeAll } from './merge.ts';
import { applyMergePatch, threeWayPatch, type MergePatch } from './mergePatch.ts';
import { watchObjects, type ObjectEvent, type WatchReader } from './objectWatch.ts';
import { resolveRef, type ObjectRef, type ResolvedRef } from './refs.ts';

/** An object as a user writes it; checked when it is created. */
export type ObjectManifest = Readonly<Record<string, unknown>>;

/** Options of `create` and `apply`. */
export interface CreateObjectOptions extends NamespaceOptions {
  /** Chosen by the caller: a create that is sent again with the same uid answers as the first time. */
  readonly uid?: string;
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean;
  /** Told of every field that is stored and has no effect. */
  readonly onWarning?: (warning: string) => void;
}

/** Options of `update` and `patch`. */
export interface ChangeObjectOptions extends NamespaceOptions {
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean;
  /** Told of every field that is changed and has no effect. */
  readonly onWarning?: (warning: string) => void;
}

/** Options of `watch`. */
export interface WatchObjectsOptions extends NamespaceOptions {
  /** As for `list`. */
  readonly labelSelector?: string;
  /** Of all namespaces. */
  readonly allNamespaces?: boolean;
  /** Only the object of this name. */
  readonly name?: string;
  /** Ends the watch; leaving the loop ends it too. */
  readonly signal?: AbortSignal;
}

/** What `apply` did. */
export interface AppliedObject<T> {
  readonly object: T;
  readonly action: 'created' | 'configured' | 'unchanged';
}

/** How objects of a kind are written to the store, and read from it. */
export interface ObjectCodec<T extends KeptObject> {
  readonly kind: ObjectKind<T>;
  /** The text that is stored; version and times lie beside it. */
  encode(object: T): string | Promise<string>;
  decode(stored: StoredObject): T | Promise<T>;
  /** A manifest in the form in which `apply` remembers it. */
  normalize(manifest: ObjectManifest): ObjectManifest;
}

/** A read-modify-write that met another writer is tried again so many times. */
const MAX_WRITE_ATTEMPTS = 8;
/** Attempts to find a free name for a generateName. */
const MAX_NAME_ATTEMPTS = 8;
/** Objects may have a megabyte each. */
const PAGE_SIZE = 50;

/** Objects of one kind: create, read, change, delete, watch. */
export class ObjectsClient<T extends KeptObject> {
  protected readonly backend: Backend;
  readonly #namespace: string;
  readonly #codec: ObjectCodec<T>;

  constructor(backend: Backend, namespace: string, codec: ObjectCodec<T>) {
    this.backend = backend;
    this.#namespace = namespace;
    this.#codec = codec;
  }

  /**
   * Creates an object from a manifest.
   *
   * @throws InvalidSpecError with everything that is wrong with it.
   * @throws AlreadyExistsError when another object of the kind has the name.
   */
  async create(manifest: ObjectManifest, options: CreateObjectOptions = {}): Promise<T> {
    const { kind } = this.#codec;
    const parsed = parseObject(kind, manifest, this.#namespaceOf(manifest, options));
    this.#warn(parsed, null, options.onWarning);
    const uid = options.uid ?? randomUUID();
    const { namespace } = parsed.metadata;
    const prefix = parsed.metadata.name === '' ? (parsed.metadata.generateName ?? '') : null;
    for (let attempt = 1; ; attempt++) {
      const name = prefix === null ? parsed.metadata.name : generateName(prefix, randomInt);
      const object = { ...parsed, metadata: { ...parsed.metadata, uid, name } };
      const path = { kind: kind.kind, namespace, name };
      const text = await this.#codec.encode(object);
      if (options.dryRun === true) return object;
      const outcome = await this.backend.onShard(namespace, ({ objects }) =>
        objects.create({
          ...path,
          uid,
          object: text,
          finalizerCount: finalizerCount(object),
          owners: ownersOf(object),
        }),
      );
      if (outcome.type === 'created') {
        return withStored(object, { ...path, ...outcome, uid, object: text, deletedMs: null });
      }
      if (outcome.type === 'replayed') return await this.get(object);
      if (outcome.type === 'forbidden') {
        const why = quotaDenialText(outcome.denial, null);
        throw new ForbiddenError(this.reference({ name, namespace }), why);
      }
      if (prefix === null || attempt === MAX_NAME_ATTEMPTS) {
        throw new AlreadyExistsError(this.reference({ name, namespace }));
      }
    }
  }

  /** Reads an object. @throws NotFoundError */
  async get(ref: ObjectRef, options: NamespaceOptions = {}): Promise<T> {
    return await this.#codec.decode(await this.readStored(ref, options));
  }

  /** Lists objects, in order of namespace and name. */
  async list(options: ListOptions = {}): Promise<T[]> {
    const objects: T[] = [];
    for (const stored of await this.listStored(options)) {
      objects.push(await this.#codec.decode(stored));
    }
    return objects;
  }

  /** Watches objects: `ADDED` for each that is there, then every change as it happens. Nothing is polled. */
  async *watch(options: WatchObjectsOptions = {}): AsyncGenerator<ObjectEvent<T>> {
    yield* this.watchAs(options, (stored) => this.#codec.decode(stored));
  }

  /** Watches objects, each as it is read by `decode`. */
  protected async *watchAs<V extends Pick<KeptObject, 'metadata'>>(
    options: WatchObjectsOptions,
    decode: (stored: StoredObject) => V | Promise<V>,
  ): AsyncGenerator<ObjectEvent<V>> {
    const { namespace, shards } = await this.#scopeOf(options);
    const selector = readSelector(options.labelSelector);
    const { kind } = this.#codec.kind;
    const { name } = options;
    const ending = new AbortController();
    const signal =
      options.signal === undefined
        ? ending.signal
        : AbortSignal.any([options.signal, ending.signal]);
    const reader: WatchReader<V> = {
      kind,
      list: async (shard) => {
        const objects: V[] = [];
        for await (const stored of this.#stored(shard, namespace)) {
          const object = await decode(stored);
          if (reader.accepts(object)) objects.push(object);
        }
        return objects;
      },
      read: async (shard, entry) => {
        const stored = await shard.objects.get({ ...entry, kind });
        const isMeant = stored !== null && stored.uid === entry.uid;
        return isMeant ? await decode(stored) : null;
      },
      accepts: ({ metadata }) =>
        (name === undefined || metadata.name === name) &&
        matchesSelector(selector, metadata.labels),
      concerns: (entry) =>
        (namespace === null || entry.namespace === namespace) &&
        (name === undefined || entry.name === name),
    };
    const sources = shards.map((shard) => watchObjects(this.backend, shard, reader, signal));
    yield* mergeAll(sources, () => ending.abort());
  }

  /**
   * Replaces an object by a changed one, which was read before.
   *
   * @throws NotFoundError
   * @throws InvalidSpecError when it is not valid, or changes what can not be changed.
   * @throws ConflictError when it has a `metadata.resourceVersion` that is not current.
   */
  async update(object: T, options: ChangeObjectOptions = {}): Promise<T> {
    return (await this.#modify(object, options, () => object)).object;
  }

  /**
   * Changes an object with a function of what is stored of it. When somebody else is quicker it is
   * read and changed again, unless the result names the `metadata.resourceVersion` that it was made for.
   *
   * @param change - Makes the object as it is to be, as a whole. It may be called several times.
   * @throws as {@link update}.
   */
  async change(
    ref: ObjectRef,
    change: (stored: T) => unknown,
    options: ChangeObjectOptions = {},
  ): Promise<T> {
    return (await this.#modify(ref, options, change)).object;
  }

  /** An object of what is stored of it; for who reads from the store. */
  async decode(stored: StoredObject): Promise<T> {
    return await this.#codec.decode(stored);
  }

  /**
   * Changes an object with a JSON merge patch (RFC 7386): fields are set, `null` removes one.
   *
   * @throws NotFoundError
   * @throws InvalidSpecError when the result is not valid, or changes what can not be changed.
   * @throws ConflictError when the patch names a `metadata.resourceVersion` that is not current.
   */
  async patch(ref: ObjectRef, patch: MergePatch, options: ChangeObjectOptions = {}): Promise<T> {
    const change = (stored: T) => applyMergePatch(withoutVersion(stored), patch);
    return (await this.#modify(ref, options, change)).object;
  }

  /**
   * Creates the object of a manifest, or brings an existing one in line with it, as `kubectl apply`
   * does: what the manifest said the last time and does not say now is removed, what others set is
   * left alone.
   */
  async apply(
    manifest: ObjectManifest,
    options: CreateObjectOptions = {},
  ): Promise<AppliedObject<T>> {
    const { kind } = this.#codec;
    const namespace = this.#namespaceOf(manifest, options);
    const { name } = parseObject(kind, manifest, namespace).metadata;
    const marked = withLastApplied(this.#codec.normalize(manifest));
    const exists =
      name !== '' &&
      (await this.backend.onShard(namespace, ({ objects }) =>
        objects.get({ kind: kind.kind, namespace, name }),
      )) !== null;
    if (!exists) {
      return { object: await this.create(marked, { ...options, namespace }), action: 'created' };
    }
    const { dryRun = false, onWarning } = options;
    const told = { namespace, dryRun, ...(onWarning && { onWarning }) };
    const { object, changed } = await this.#modify(name, told, (stored) => {
      const patch = threeWayPatch(lastApplied(stored), desired(marked));
      return applyMergePatch(withoutVersion(stored), patch);
    });
    return { object, action: changed ? 'configured' : 'unchanged' };
  }

  /**
   * Deletes an object. One with finalizers stays, with a deletionTimestamp, until the last of them
   * was taken away.
   *
   * @returns Whether it is gone.
   * @throws NotFoundError
   */
  async delete(ref: ObjectRef, options: NamespaceOptions = {}): Promise<boolean> {
    const stored = await this.readStored(ref, options);
    const outcome = await this.backend.onShard(stored.namespace, ({ objects }) =>
      objects.delete(stored),
    );
    if (outcome === 'notFound') throw new NotFoundError(this.reference(stored));
    return outcome === 'deleted';
  }

  /** Writes an object anew as it is, if that is wanted. @returns Whether it was. */
  protected async rewrite(
    ref: ObjectRef,
    options: NamespaceOptions,
    isWanted: (stored: StoredObject) => boolean,
  ): Promise<boolean> {
    for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt++) {
      const before = await this.readStored(ref, options);
      if (!isWanted(before)) return false;
      const outcome = await this.write(before, await this.#codec.decode(before));
      if (outcome.type !== 'conflict') return true;
    }
    throw new ConflictError(this.reference(this.#resolve(ref, options)));
  }

  /** An object as it is stored. @throws NotFoundError */
  protected async readStored(ref: ObjectRef, options: NamespaceOptions): Promise<StoredObject> {
    const target = this.#resolve(ref, options);
    const stored = await this.backend.onShard(target.namespace, (shard) =>
      this.#find(shard, target),
    );
    if (stored === null) throw new NotFoundError(this.reference(target));
    return stored;
  }

  /** Objects as they are stored, in order of namespace and name. */
  protected async listStored(options: ListOptions): Promise<StoredObject[]> {
    const { limit = Number.POSITIVE_INFINITY } = options;
    const selector = readSelector(options.labelSelector);
    const { namespace, shards } = await this.#scopeOf(options);
    const found: StoredObject[] = [];
    for (const shard of shards) {
      let count = 0;
      for await (const stored of this.#stored(shard, namespace)) {
        if (selector.length > 0 && !matchesSelector(selector, labelsOf(stored))) continue;
        found.push(stored);
        count += 1;
        if (count >= limit) break;
      }
    }
    return found.toSorted(byNamespaceAndName).slice(0, limit);
  }

  async *#stored(shard: Shard, namespace: string | null): AsyncGenerator<StoredObject> {
    let after: string | null = null;
    do {
      const from: { after?: string } = after === null ? {} : { after };
      const page = await this.backend.run(() =>
        shard.objects.list(this.#codec.kind.kind, { namespace, limit: PAGE_SIZE, ...from }),
      );
      yield* page.objects;
      after = page.next;
    } while (after !== null);
  }

  async #find(shard: Shard, { name, namespace, uid }: ResolvedRef): Promise<StoredObject | null> {
    const stored = await shard.objects.get({ kind: this.#codec.kind.kind, namespace, name });
    return stored !== null && (uid === null || stored.uid === uid) ? stored : null;
  }

  async #modify(
    ref: ObjectRef,
    options: ChangeObjectOptions,
    change: (stored: T) => unknown,
  ): Promise<{ object: T; changed: boolean }> {
    const { kind } = this.#codec;
    for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt++) {
      const before = await this.readStored(ref, options);
      const stored = await this.#codec.decode(before);
      const wanted = parseObjectUpdate(kind, stored, change(stored));
      const version = wanted.metadata.resourceVersion;
      if (version !== undefined && version !== stored.metadata.resourceVersion) break;
      const object = { ...wanted, metadata: { ...wanted.metadata, resourceVersion: undefined } };
      if (isSemanticallyEqual(withoutVersion(stored), object)) {
        return { object: stored, changed: false };
      }
      this.#warn(object, stored, attempt === 1 ? options.onWarning : undefined);
      if (options.dryRun === true) {
        await this.#codec.encode(object);
        return { object: withStored(object, before), changed: true };
      }
      const outcome = await this.write(before, object);
      if (outcome.type !== 'conflict') {
        const { resourceVersion } = outcome;
        return { object: withStored(object, { ...before, resourceVersion }), changed: true };
      }
    }
    throw new ConflictError(this.reference(this.#resolve(ref, options)));
  }

  /** Writes an object in place of the one that was read. @throws NotFoundError */
  protected async write(
    before: StoredObject,
    object: T,
    isDeletion = false,
  ): Promise<Exclude<ObjectUpdated, { type: 'notFound' }>> {
    const text = await this.#codec.encode(object);
    const outcome = await this.backend.onShard(before.namespace, ({ objects }) =>
      objects.update({
        ...before,
        object: text,
        finalizerCount: finalizerCount(object),
        expectedResourceVersion: before.resourceVersion,
        isDeletion,
        owners: ownersOf(object),
      }),
    );
    if (outcome.type === 'notFound') throw new NotFoundError(this.reference(before));
    return outcome;
  }

  #warn(object: T, stored: T | null, onWarning: ((warning: string) => void) | undefined): void {
    if (onWarning === undefined) return;
    for (const warning of this.#codec.kind.warnings?.(object, stored) ?? []) onWarning(warning);
  }

  get #isFree(): boolean {
    return this.#codec.kind.isClusterScoped === true;
  }

  #namespaceOf(manifest: ObjectManifest, options: NamespaceOptions): string {
    return this.#isFree ? '' : namespaceOf(manifest, this.#namespace, options);
  }

  #resolve(ref: ObjectRef, options: NamespaceOptions): ResolvedRef {
    const namespace = options.namespace ?? this.#namespace;
    const resolved = resolveRef(ref, namespace);
    return this.#isFree ? { ...resolved, namespace: '' } : resolved;
  }

  async #scopeOf(options: ListOptions): Promise<Scope> {
    const scope = this.#isFree ? { namespace: '' } : options;
    return await scopeOf(this.backend, this.#namespace, scope);
  }

  /** How errors name an object. */
  protected reference({ name, namespace }: { name: string; namespace: string }) {
    const { resource } = this.#codec.kind;
    return this.#isFree ? { resource, name } : { resource, name, namespace };
  }
}

function finalizerCount({ metadata }: KeptObject): number {
  return metadata.finalizers?.length ?? 0;
}

function withStored<T extends KeptObject>(object: T, stored: StoredObject): T {
  return { ...object, metadata: composeMetadata(object.metadata, stored) };
}

/** What a change begins with: the version is for the caller to name. */
function withoutVersion({ metadata, ...others }: KeptObject): object {
  return { ...others, metadata: { ...metadata, resourceVersion: undefined } };
}

/** The labels in the text of a stored object, whatever its kind. */
function labelsOf({ object }: StoredObject): Readonly<Record<string, string>> | undefined {
  const { metadata } = JSON.parse(object) as Pick<KeptObject, 'metadata'>;
  return metadata.labels;
}
