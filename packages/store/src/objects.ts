import assert from 'node:assert/strict';
import { COUNTED_KINDS, quotaAmounts, type ResourceQuota } from '@drover/shared';
import { ownersText } from './jobScripts.ts';
import type { ShardKeys } from './keys.ts';
import type {
  ChangedObject,
  NewObject,
  ObjectCreated,
  ObjectPath,
  ObjectUpdated,
  StoredObject,
} from './objectApi.ts';
import { choose, integer, list, quotaDenial } from './replies.ts';
import { ShardScripts, type ShardScriptsOptions } from './shardScripts.ts';
import type { RedisClient } from './redisClient.ts';

/**
 * The objects of a shard that are kept as they are, of any kind: what is in them is their kind's own
 * affair. Methods are as idempotent as the contracts in `lua/` say.
 */
export class Objects {
  readonly #redis: RedisClient;
  readonly #keys: ShardKeys;
  readonly #scripts: ShardScripts;

  constructor(options: ShardScriptsOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#scripts = new ShardScripts(options);
  }

  /** Stores an object. The same uid answers 'replayed'. */
  async create(object: NewObject): Promise<ObjectCreated> {
    const reply = list(
      await this.#scripts.run('createObject', this.#createKeysOf(object), [
        this.#scripts.now,
        this.#keys.objectChannel,
        object.kind,
        object.uid,
        object.namespace,
        object.name,
        object.object,
        object.finalizerCount,
        this.#keys.wakeChannel,
        dueMember(object),
        ownersText(object.owners ?? []),
        hardOf(object),
        (COUNTED_KINDS[object.kind] ?? []).join(' '),
      ]),
    );
    const code = integer(reply[0]);
    if (code === 0) return { type: 'replayed' };
    if (code === -1) return { type: 'alreadyExists' };
    if (code === -2) return { type: 'forbidden', denial: quotaDenial(reply[1] ?? null) };
    return { type: 'created', resourceVersion: integer(reply[1]), createdMs: integer(reply[2]) };
  }

  /** Replaces an object, compare-and-set. */
  async update(object: ChangedObject): Promise<ObjectUpdated> {
    const reply = list(
      await this.#scripts.run('updateObject', this.#keysOf(object), [
        this.#scripts.now,
        this.#keys.objectChannel,
        object.kind,
        object.uid,
        object.namespace,
        object.name,
        object.expectedResourceVersion,
        object.object,
        object.finalizerCount,
        this.#keys.wakeChannel,
        dueMember(object),
        object.isDeletion === true ? 1 : 0,
        object.owners === undefined ? '=' : ownersText(object.owners),
        hardOf(object),
      ]),
    );
    const code = integer(reply[0]);
    if (code === -1) return { type: 'notFound' };
    if (code === -2) return { type: 'conflict' };
    return { type: code === 2 ? 'removed' : 'updated', resourceVersion: integer(reply[1]) };
  }

  /** Deletes an object, or with finalizers marks it as one that goes with the last of them. */
  async delete(
    object: ObjectPath & { readonly uid: string },
  ): Promise<'deleted' | 'terminating' | 'notFound'> {
    const reply = await this.#scripts.run('deleteObject', this.#keysOf(object), [
      this.#scripts.now,
      this.#keys.objectChannel,
      object.kind,
      object.uid,
      object.namespace,
      object.name,
      this.#keys.wakeChannel,
      dueMember(object),
    ]);
    return choose(reply, { '1': 'deleted', '2': 'terminating', '-1': 'notFound' });
  }

  /** An object by its name; null = none. */
  async get(path: ObjectPath): Promise<StoredObject | null> {
    const { kind, namespace, name } = path;
    return storedObject(path, await this.#redis.hgetall(this.#keys.object(kind, namespace, name)));
  }

  /** The versions of objects, in their order; null = there is none. What a cached one is compared with. */
  async versions(paths: readonly ObjectPath[]): Promise<(number | null)[]> {
    return await Promise.all(
      paths.map(async ({ kind, namespace, name }) => {
        const version = await this.#redis.hget(this.#keys.object(kind, namespace, name), 'rv');
        return version === null ? null : Number(version);
      }),
    );
  }

  /**
   * A page of the objects of a kind in order of namespace and name.
   *
   * @param options.after - Continue after this `<namespace>/<name>`.
   */
  async list(
    kind: string,
    options: { readonly namespace: string | null; readonly after?: string; readonly limit: number },
  ): Promise<{ objects: StoredObject[]; next: string | null }> {
    const { namespace, after, limit } = options;
    // '0' is the character after '/', so this bounds exactly one namespace.
    const to = namespace === null ? '+' : `(${namespace}0`;
    let from = namespace === null ? '-' : `[${namespace}/`;
    if (after !== undefined) from = `(${after}`;
    const names = this.#keys.objectNames(kind);
    const found = await this.#redis.zrangebylex(names, from, to, 'LIMIT', 0, limit);
    const read = await Promise.all(found.map((path) => this.get(pathOf(kind, path))));
    return {
      objects: read.filter((object) => object !== null),
      next: found.length < limit ? null : found.at(-1)!,
    };
  }

  #keysOf(path: ObjectPath): string[] {
    const { kind, namespace, name } = path;
    const record = this.#keys.objectRecord(kind, namespace, name);
    const { owned, quotaHard, quotaUsed } = this.#keys;
    return [...this.#createKeysOf(path).slice(0, 7), record, owned, quotaHard, quotaUsed];
  }

  #createKeysOf({ kind, namespace, name }: ObjectPath): string[] {
    const { clock, watch, due, dueTaken, dueCounts, owned, quotaHard, quotaUsed } = this.#keys;
    const object = this.#keys.object(kind, namespace, name);
    const names = this.#keys.objectNames(kind);
    return [clock, names, object, watch, due, dueTaken, dueCounts, owned, quotaHard, quotaUsed];
  }
}

/** The member of the due set for an object of a kind that does something; '' for others. */
function dueMember({ kind, namespace, name }: ObjectPath): string {
  if (kind === 'ResourceQuota') return `quota:${namespace}`;
  return kind === 'CronJob' ? cronMember(namespace, name) : '';
}

/** What a ResourceQuota allows, as the scripts read it; '' for other kinds. */
function hardOf({ kind, object }: Pick<NewObject, 'kind' | 'object'>): string {
  if (kind !== 'ResourceQuota') return '';
  return JSON.stringify(quotaAmounts(JSON.parse(object) as ResourceQuota));
}

/** The member of the due set for a CronJob. */
export function cronMember(namespace: string, name: string): string {
  return `cron:${namespace}/${name}`;
}

function pathOf(kind: string, path: string): ObjectPath {
  const slash = path.indexOf('/');
  return { kind, namespace: path.slice(0, slash), name: path.slice(slash + 1) };
}

/** A kept object of the fields of its hash; null = there is none. */
export function storedObject(
  path: ObjectPath,
  fields: Readonly<Record<string, string>>,
): StoredObject | null {
  const { uid, rv, createdMs, deletedMs, object } = fields;
  // One that is gone leaves a mark of its own for a while.
  if (uid === undefined) return null;
  assert(rv !== undefined && createdMs !== undefined && object !== undefined, 'a stored object');
  return {
    kind: path.kind,
    namespace: path.namespace,
    name: path.name,
    uid,
    resourceVersion: Number(rv),
    createdMs: Number(createdMs),
    deletedMs: deletedMs === undefined ? null : Number(deletedMs),
    object,
  };
}
