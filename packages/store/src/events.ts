import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  type ClientEvent,
  DEFAULT_EVENT_TTL_MS,
  formatTime,
  MAX_EVENT_MESSAGE_CHARS,
  type CoreV1Event,
  type InvolvedObject,
} from '@drover/shared';
import { formatVersion } from './compose/job.ts';
import type { ShardKeys } from './keys.ts';
import { choose, integer, list } from './replies.ts';
import { ShardScripts, type ShardScriptsOptions } from './shardScripts.ts';
import type { RedisClient } from './redisClient.ts';

/** Most events per script: bounds its time. */
export const MAX_EVENTS_PER_CALL = 100;
/** Events that are read at a time. */
const PAGE_SIZE = 500;
const VERSIONS_PER_MS = 4_096;
/** Namespace of what is said of objects without one. */
const CLUSTER_NAMESPACE = 'default';

/** Something that happened. */
export interface NewEvent {
  /** What it happened to. */
  readonly about: InvolvedObject;
  readonly type: 'Normal' | 'Warning';
  /** In a word: `SuccessfulCreate`. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** What tells it from other things of this type and reason that happened to the object; default: its message. */
  readonly shape?: string;
  /** Who says so: `job-controller`. */
  readonly component: string;
  /** The worker that says so. */
  readonly host?: string;
  /** How often it happened since it was told last (default once), or in all. */
  readonly count?: { readonly more: number } | { readonly inAll: number };
}

/** Which events are wanted. */
export interface EventQuery {
  /** null = of all namespaces. */
  readonly namespace: string | null;
  /** Only those about objects of this name. */
  readonly objectName?: string;
}

/** An event of a client: all of it, but for what the store sets. */
interface ClientBody {
  readonly e: ClientEvent;
}

/** What of an event is the same every time it happens, but for the message. */
interface StoredBody {
  /** apiVersion, kind, namespace ('' = none), name and uid of the object. */
  readonly o: readonly [string, string, string, string, string];
  /** Whether it is a Warning. */
  readonly w: 0 | 1;
  readonly r: string;
  readonly m: string;
  readonly c: string;
  readonly h?: string;
}

/** What came of writing an event of a client. */
export type EventWritten =
  | { readonly type: 'written' | 'replayed'; readonly resourceVersion: number }
  | { readonly type: 'alreadyExists' | 'notFound' | 'conflict' };

/** An event that waits to be written. */
export interface CountedEvent {
  readonly event: NewEvent;
  /** `<namespace>/<name>`, as from {@link eventPath}. */
  readonly path: string;
  /** Times more, or in all. */
  readonly count: number;
  readonly isInAll: boolean;
}

/** The events of a shard. */
export class Events {
  readonly #redis: RedisClient;
  readonly #keys: ShardKeys;
  readonly #scripts: ShardScripts;
  readonly #now: () => number;

  constructor(options: ShardScriptsOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#scripts = new ShardScripts(options);
    this.#now = options.testClock ?? Date.now;
  }

  /** Channel that says that there are new ones. */
  get channel(): string {
    return this.#keys.eventChannel;
  }

  /** For how long events are kept after they happened last; for all who write some from now on, ms > 0. */
  async setTtl(ttlMs: number): Promise<void> {
    const { meta } = this.#keys;
    // Redis writes nothing when its memory is full, and then a controller has to start, too, which frees some.
    if ((await this.#redis.hget(meta, 'eventTtlMs')) === String(ttlMs)) return;
    await this.#redis.hset(meta, 'eventTtlMs', ttlMs);
  }

  /**
   * Writes events, no path twice; once for a batch number of a writer.
   *
   * @param batch - Rises with each batch of the writer.
   */
  async record(
    writer: string,
    batch: number,
    events: readonly CountedEvent[],
  ): Promise<'recorded' | 'replayed'> {
    assert(events.length <= MAX_EVENTS_PER_CALL);
    const { clock, events: all, eventNames, eventVersions, meta, eventChannel } = this.#keys;
    const reply = await this.#scripts.run(
      'recordEvents',
      [clock, all, eventNames, eventVersions, meta],
      [
        this.#scripts.now,
        eventChannel,
        writer,
        batch,
        ...events.flatMap(({ event, path, count, isInAll }) => [
          path,
          `${isInAll ? '=' : '+'}${count}`,
          JSON.stringify(bodyOf(event)),
        ]),
      ],
    );
    return choose(reply, { '1': 'recorded', '0': 'replayed' });
  }

  /**
   * Writes an event of a client; the same one again is written already.
   *
   * @param expectedVersion - What it was made from; null = it is a new one.
   */
  async write(event: ClientEvent, expectedVersion: string | null): Promise<EventWritten> {
    const { clock, events, eventNames, eventVersions, meta, eventChannel } = this.#keys;
    const { name, namespace, ...metadata } = event.metadata;
    const { uid: _uid, resourceVersion: _version, creationTimestamp: _at, ...own } = metadata;
    const count = Math.max(1, event.count ?? event.series?.count ?? 1);
    const body: ClientBody = { e: { ...event, metadata: { ...own, name, namespace, uid: '' } } };
    const reply = list(
      await this.#scripts.run(
        'writeEvent',
        [clock, events, eventNames, eventVersions, meta],
        [
          this.#scripts.now,
          eventChannel,
          `${namespace}/${name}`,
          count,
          JSON.stringify(body),
          expectedVersion ?? '',
          name.startsWith(`${event.involvedObject.name ?? ''}.`) ? 0 : 1,
        ],
      ),
    );
    const code = integer(reply[0]);
    if (code >= 0) {
      return { type: code === 1 ? 'written' : 'replayed', resourceVersion: integer(reply[1]) };
    }
    return { type: choose(code, { '-1': 'alreadyExists', '-2': 'notFound', '-3': 'conflict' }) };
  }

  /** Forgets events, whoever wrote them; one with a `version` only as long as it has that. In their order. */
  async delete(
    wanted: readonly {
      readonly namespace: string;
      readonly name: string;
      readonly version: string | null;
    }[],
  ): Promise<('deleted' | 'notFound' | 'conflict')[]> {
    const { clock, events, eventNames, eventVersions, meta, eventChannel } = this.#keys;
    const answers: ('deleted' | 'notFound' | 'conflict')[] = [];
    for (let at = 0; at < wanted.length; at += MAX_EVENTS_PER_CALL) {
      const some = wanted.slice(at, at + MAX_EVENTS_PER_CALL);
      const reply = await this.#scripts.run(
        'deleteEvents',
        [clock, events, eventNames, eventVersions, meta],
        [
          this.#scripts.now,
          eventChannel,
          ...some.flatMap(({ namespace, name, version }) => [
            `${namespace}/${name}`,
            version ?? '',
          ]),
        ],
      );
      for (const code of list(reply)) {
        answers.push(choose(code, { '1': 'deleted', '-1': 'notFound', '-2': 'conflict' }));
      }
    }
    return answers;
  }

  /** Forgets all events of a namespace. */
  async deleteIn(namespace: string): Promise<void> {
    const found = await this.list({ namespace });
    await this.delete(found.map(({ metadata: { name } }) => ({ namespace, name, version: null })));
  }

  /** `<namespace>/<name>` of all that are kept. */
  async paths(): Promise<ReadonlySet<string>> {
    return new Set(await this.#redis.zrange(this.#keys.eventNames, '0', '-1'));
  }

  /** An event by its name; null = none. */
  async get(namespace: string, name: string): Promise<CoreV1Event | null> {
    const [event = null] = await this.#read([`${namespace}/${name}`]);
    return event;
  }

  /** Events in order of their names. */
  async list({ namespace, objectName }: EventQuery): Promise<CoreV1Event[]> {
    // An event's name begins with that of its object and a dot; '/' is the character after '.', '0' that after '/'.
    const isNarrow =
      namespace !== null && objectName !== undefined && !(await this.#hasOtherNames());
    const prefix = isNarrow ? `${namespace}/${objectName}.` : `${namespace}/`;
    const to = isNarrow ? `(${namespace}/${objectName}/` : `(${namespace}0`;
    const found: CoreV1Event[] = [];
    let from = namespace === null ? '-' : `[${prefix}`;
    for (;;) {
      const paths = await this.#redis.zrangebylex(
        this.#keys.eventNames,
        from,
        namespace === null ? '+' : to,
        'LIMIT',
        0,
        PAGE_SIZE,
      );
      found.push(...(await this.#read(paths)).filter((event) => event !== null));
      if (paths.length < PAGE_SIZE) break;
      from = `(${paths.at(-1)}`;
    }
    return objectName === undefined
      ? found
      : found.filter(({ involvedObject }) => involvedObject.name === objectName);
  }

  /** What was written after a resourceVersion, in that order; each as it is now. */
  async changedSince(version: number): Promise<CoreV1Event[]> {
    const { eventVersions } = this.#keys;
    const found = await this.#redis.zrangebyscore(eventVersions, `(${version}`, '+inf');
    const read = await this.#read(found.filter((path) => !path.startsWith('#')));
    return read.filter((event) => event !== null);
  }

  /** The resourceVersions of what was written last, from which on events are there, and of the last deletion; 0 = nothing is. */
  async span(): Promise<{
    readonly newest: number;
    readonly oldest: number;
    readonly deleted: number;
  }> {
    const { events, eventVersions, meta } = this.#keys;
    const [first, last, ttl, deleted] = await Promise.all([
      this.#redis.zrange(eventVersions, '0', '0', 'WITHSCORES'),
      this.#redis.zrange(eventVersions, '-1', '-1', 'WITHSCORES'),
      this.#redis.hget(meta, 'eventTtlMs'),
      this.#redis.hget(events, '#deleted'),
    ]);
    const [, kept = '0'] = first.flat();
    const [, newest = '0'] = last.flat();
    const oldestMs = this.#now() - Number(ttl ?? DEFAULT_EVENT_TTL_MS);
    return {
      newest: Number(newest),
      deleted: Number(deleted ?? 0),
      oldest: Math.max(Number(kept), oldestMs * VERSIONS_PER_MS),
    };
  }

  /** Whether clients may have called events otherwise than after their objects. */
  async #hasOtherNames(): Promise<boolean> {
    const [namedMs, ttl] = await Promise.all([
      this.#redis.hget(this.#keys.events, '#named'),
      this.#redis.hget(this.#keys.meta, 'eventTtlMs'),
    ]);
    return Number(namedMs ?? 0) > this.#now() - Number(ttl ?? DEFAULT_EVENT_TTL_MS);
  }

  /** In the order of the paths; null for what is not there, or too old. */
  async #read(paths: readonly string[]): Promise<(CoreV1Event | null)[]> {
    if (paths.length === 0) return [];
    const [stored, ttl] = await Promise.all([
      this.#redis.hmget(this.#keys.events, ...paths),
      this.#redis.hget(this.#keys.meta, 'eventTtlMs'),
    ]);
    const oldestMs = this.#now() - Number(ttl ?? DEFAULT_EVENT_TTL_MS);
    return paths.map((path, i) => {
      const text = stored[i] ?? null;
      return text === null ? null : composeEvent(path, text, oldestMs);
    });
  }
}

/** Where an event lies: `<namespace>/<name of the object>.<hash>`. The same for the same thing. */
export function eventPath(event: NewEvent): string {
  const { about, type, reason, message, shape = message, component, host = '' } = event;
  const parts = [about.kind, about.uid, type, reason, component, host, shape];
  const hash = createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);
  return `${about.namespace ?? CLUSTER_NAMESPACE}/${about.name}.${hash}`;
}

function bodyOf({ about, type, reason, message, component, host }: NewEvent): StoredBody {
  const { apiVersion, kind, namespace = '', name, uid } = about;
  return {
    o: [apiVersion, kind, namespace, name, uid],
    w: type === 'Warning' ? 1 : 0,
    r: reason,
    m: message.slice(0, MAX_EVENT_MESSAGE_CHARS),
    c: component,
    ...(host !== undefined && { h: host }),
  };
}

function composeEvent(path: string, text: string, oldestMs: number): CoreV1Event | null {
  const parts = /^(\d+) (\d+) (\d+) (\d+) ([^]*)$/.exec(text);
  assert(parts !== null, `a stored event, got ${text.slice(0, 50)}`);
  const [, count = '', firstMs = '', lastMs = '', version = '', json = ''] = parts;
  if (Number(lastMs) <= oldestMs) return null;
  const stored = JSON.parse(json) as StoredBody | ClientBody;
  if ('e' in stored) {
    return composeClientEvent(stored.e, {
      count: Number(count),
      firstTimestamp: formatTime(Number(firstMs)),
      lastTimestamp: formatTime(Number(lastMs)),
      uid: uidOf(`${path} ${firstMs}`),
      resourceVersion: formatVersion(Number(version)),
    });
  }
  const body = stored;
  const [apiVersion, kind, ownNamespace, objectName, uid] = body.o;
  const slash = path.indexOf('/');
  const namespace = path.slice(0, slash);
  const name = path.slice(slash + 1);
  const firstTimestamp = formatTime(Number(firstMs));
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name,
      namespace,
      uid: uidOf(`${path} ${uid} ${firstMs}`),
      resourceVersion: formatVersion(Number(version)),
      creationTimestamp: firstTimestamp,
    },
    involvedObject: {
      apiVersion,
      kind,
      ...(ownNamespace !== '' && { namespace: ownNamespace }),
      name: objectName,
      uid,
    },
    type: body.w === 1 ? 'Warning' : 'Normal',
    reason: body.r,
    message: body.m,
    source: { component: body.c, ...(body.h !== undefined && { host: body.h }) },
    count: Number(count),
    firstTimestamp,
    lastTimestamp: formatTime(Number(lastMs)),
    reportingComponent: body.c,
    reportingInstance: body.h ?? '',
  };
}

/** An event of a client, with what it left out. */
function composeClientEvent(
  event: ClientEvent,
  known: {
    readonly count: number;
    readonly firstTimestamp: string;
    readonly lastTimestamp: string;
    readonly uid: string;
    readonly resourceVersion: string;
  },
): CoreV1Event {
  const { uid, resourceVersion, firstTimestamp, lastTimestamp, count } = known;
  const { involvedObject: about, source = {}, eventTime, series, action, related } = event;
  const { resourceVersion: aboutVersion, fieldPath, namespace } = about;
  const metadata = { ...event.metadata, uid, resourceVersion, creationTimestamp: firstTimestamp };
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata,
    involvedObject: {
      apiVersion: about.apiVersion ?? '',
      kind: about.kind ?? '',
      ...(namespace !== undefined && { namespace }),
      name: about.name ?? '',
      uid: about.uid ?? '',
      ...(aboutVersion !== undefined && { resourceVersion: aboutVersion }),
      ...(fieldPath !== undefined && { fieldPath }),
    },
    type: event.type,
    reason: event.reason,
    message: event.message,
    source: {
      component: source.component ?? event.reportingComponent,
      ...(source.host !== undefined && { host: source.host }),
    },
    count,
    firstTimestamp: event.firstTimestamp ?? firstTimestamp,
    lastTimestamp: event.lastTimestamp ?? lastTimestamp,
    reportingComponent: event.reportingComponent,
    reportingInstance: event.reportingInstance,
    ...(eventTime !== undefined && { eventTime }),
    ...(series !== undefined && { series }),
    ...(action !== '' && { action }),
    ...(related !== undefined && { related }),
  };
}

/** A uid in the form of a UUID: the same for the same text. */
function uidOf(text: string): string {
  const hash = createHash('sha256').update(text).digest('hex');
  const digits = `${hash.slice(0, 12)}8${hash.slice(12, 15)}8${hash.slice(15, 30)}`;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
