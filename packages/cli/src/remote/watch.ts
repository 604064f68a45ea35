import { setTimeout as delay } from 'node:timers/promises';

import type { ObjectEvent } from '@drover/sdk/client';
import { ConnectionError } from '@drover/shared';

import type { Call, ServerConnection } from './http.ts';
import type { RemoteObject } from './objects.ts';
import { errorOf, type Status } from './status.ts';

/** A line of a watch. */
interface Line {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: RemoteObject & Status;
}

/** Between two attempts to go on. */
const PAUSE_MS = 1_000;
/** A server that was there before may be away for so long. */
const MAX_ATTEMPTS = 30;
/** Annotation of the bookmark after what was there. */
const INITIAL_END = 'k8s.io/initial-events-end';

/**
 * Watches objects: what is there, then what changes. A server ends watches now and then; it is asked anew
 * then, and nothing is told twice.
 */
export async function* watchObjects<T extends RemoteObject>(
  connection: Pick<ServerConnection, 'lines'>,
  call: Call,
): AsyncGenerator<ObjectEvent<T>> {
  const { signal } = call;
  const known = new KnownObjects<T>();
  let failures = 0;
  const isOver = (): boolean => signal?.aborted === true;
  while (!isOver()) {
    try {
      for await (const line of linesOf(connection, call)) {
        failures = 0;
        if (line.type === 'ERROR') {
          if (line.object.code !== 410) throw errorOf(line.object.code ?? 500, line.object, '');
          break;
        }
        yield* known.take(line.type, line.object as unknown as T);
      }
    } catch (error) {
      if (isOver()) return;
      failures += 1;
      if (!(error instanceof ConnectionError) || known.isNew || failures > MAX_ATTEMPTS)
        throw error;
    }
    known.beginAgain();
    await delay(PAUSE_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

async function* linesOf(
  connection: Pick<ServerConnection, 'lines'>,
  call: Call,
): AsyncGenerator<Line> {
  const query = {
    ...call.query,
    watch: 'true',
    sendInitialEvents: 'true',
    resourceVersionMatch: 'NotOlderThan',
    allowWatchBookmarks: 'true',
  };
  for await (const line of connection.lines({ ...call, query })) {
    // What has no newline was cut off.
    if (line.at(-1) === 0x0a) yield JSON.parse(line.toString()) as Line;
  }
}

/** What was told of. */
class KnownObjects<T extends RemoteObject> {
  readonly #known = new Map<string, T>();
  /** What of it is there still, while the server tells that anew; null = it has told. */
  #seen: Set<string> | null = new Set();
  #isNew = true;

  /** Whether nothing was told yet. */
  get isNew(): boolean {
    return this.#isNew;
  }

  /** The server will tell anew what is there. */
  beginAgain(): void {
    this.#seen = new Set();
  }

  *take(type: Exclude<Line['type'], 'ERROR'>, object: T): Generator<ObjectEvent<T>> {
    this.#isNew = false;
    const { name, namespace, annotations, uid, resourceVersion } = object.metadata;
    if (type === 'BOOKMARK') {
      if (annotations?.[INITIAL_END] === 'true') yield* this.#forgetOthers();
      return;
    }
    const path = `${namespace}/${name}`;
    const before = this.#known.get(path);
    if (type === 'DELETED') {
      this.#known.delete(path);
      yield { type, object: before ?? object };
      return;
    }
    this.#known.set(path, object);
    this.#seen?.add(path);
    if (before === undefined) yield { type: 'ADDED', object };
    else if (before.metadata.uid !== uid) {
      yield { type: 'DELETED', object: before };
      yield { type: 'ADDED', object };
    } else if (before.metadata.resourceVersion !== resourceVersion)
      yield { type: 'MODIFIED', object };
  }

  *#forgetOthers(): Generator<ObjectEvent<T>> {
    const seen = this.#seen;
    this.#seen = null;
    if (seen === null) return;
    for (const [path, object] of this.#known) {
      if (seen.has(path)) continue;
      this.#known.delete(path);
      yield { type: 'DELETED', object };
    }
  }
}
