import type {
  AcquireReply,
  Arguments,
  ObjectPath,
  ReportAnswer,
  ReportEntry,
  SessionInfo,
  Shard,
  StopOrder,
  StoredObject,
} from '@drover/store';

import type { Link } from './link.ts';
import type { ReportPort } from './reportRoute.ts';

/** Answer to a heartbeat. */
export type HeartbeatReply =
  | { readonly type: 'alive'; readonly claims: number; readonly orders: readonly StopOrder[] }
  | { readonly type: 'ended' };

/** What a worker asks of a shard beside reports. */
export interface ControlPort {
  registerSession(info: SessionInfo): Promise<void>;
  heartbeat(session: string): Promise<HeartbeatReply>;
  /** Ends the session at once, so that nothing waits for its lease. */
  endSession(session: string): Promise<void>;
  acquire(request: Parameters<Shard['acquire']>[0]): Promise<AcquireReply>;
  recordRestart(request: Parameters<Shard['recordRestart']>[0]): ReturnType<Shard['recordRestart']>;
}

/** What a worker asks about the argument list of a Job. */
export interface ListPort {
  /** See `Shard.readArguments`. */
  readArguments(uid: string, chunk: number): Promise<readonly Arguments[] | null>;
  /** See `Shard.noteEndedIndex`. */
  noteEndedIndex(uid: string, index: number): Promise<number>;
  /** See `Shard.endedIndexCount`. */
  endedIndexCount(uid: string): Promise<number>;
  /** Removes what a pod wrote so far. */
  removeLog(uid: string, podNumber: number): Promise<void>;
}

/** What a worker tells about running pods, for those who look. */
export interface DetailsPort {
  /** See `Shard.writeContainers`. */
  writeContainers(
    note: Parameters<Shard['writeContainers']>[0],
  ): ReturnType<Shard['writeContainers']>;
}

/** What a worker asks about kept objects. */
export interface ObjectPort {
  /** See `ShardKeys.objectChannel`. */
  readonly objectChannel: string;
  /** See `Objects.versions`. */
  objectVersions(paths: readonly ObjectPath[]): Promise<(number | null)[]>;
  /** See `Objects.get`. */
  getObject(path: ObjectPath): Promise<StoredObject | null>;
}

/** A shard over a link: always over the connection that the link has now. */
export class ShardPort implements ControlPort, ListPort, DetailsPort, ObjectPort, ReportPort {
  readonly #shard: Shard;
  readonly #link: Link;
  #linked: Shard | null = null;
  #generation = -1;

  constructor(shard: Shard, link: Link) {
    this.#shard = shard;
    this.#link = link;
  }

  /** Asks the shard; fails when the connection is replaced before there is an answer. */
  run<T>(ask: (shard: Shard) => Promise<T>): Promise<T> {
    return this.#link.run(() => ask(this.shard));
  }

  /** The shard itself, for what nobody waits for, or who waits has a time limit of his own. */
  get shard(): Shard {
    if (this.#linked === null || this.#generation !== this.#link.generation) {
      this.#generation = this.#link.generation;
      this.#linked = this.#shard.on(this.#link.redis);
    }
    return this.#linked;
  }

  registerSession(info: SessionInfo): Promise<void> {
    return this.run((shard) => shard.registerSession(info));
  }

  heartbeat(session: string): Promise<HeartbeatReply> {
    return this.run((shard) => shard.heartbeat(session));
  }

  async endSession(session: string): Promise<void> {
    const reply = await this.shard.expireSession(session, { force: true });
    // What it held, if anything, is for the controller to end.
    if (reply.type === 'ended' && reply.claims.length > 0)
      await this.shard.trigger(`session:${session}`);
  }

  acquire(request: Parameters<Shard['acquire']>[0]): Promise<AcquireReply> {
    return this.run((shard) => shard.acquire(request));
  }

  recordRestart(
    request: Parameters<Shard['recordRestart']>[0],
  ): ReturnType<Shard['recordRestart']> {
    return this.run((shard) => shard.recordRestart(request));
  }

  readArguments(uid: string, chunk: number): Promise<readonly Arguments[] | null> {
    return this.run((shard) => shard.readArguments(uid, chunk));
  }

  noteEndedIndex(uid: string, index: number): Promise<number> {
    return this.run((shard) => shard.noteEndedIndex(uid, index));
  }

  endedIndexCount(uid: string): Promise<number> {
    return this.run((shard) => shard.endedIndexCount(uid));
  }

  removeLog(uid: string, podNumber: number): Promise<void> {
    return this.run((shard) => shard.removeLog(uid, podNumber));
  }

  writeContainers(
    note: Parameters<Shard['writeContainers']>[0],
  ): ReturnType<Shard['writeContainers']> {
    return this.run((shard) => shard.writeContainers(note));
  }

  get objectChannel(): string {
    return this.#shard.keys.objectChannel;
  }

  objectVersions(paths: readonly ObjectPath[]): Promise<(number | null)[]> {
    return this.run((shard) => shard.objects.versions(paths));
  }

  getObject(path: ObjectPath): Promise<StoredObject | null> {
    return this.run((shard) => shard.objects.get(path));
  }

  report(session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]> {
    return this.shard.report(session, entries);
  }

  reportSuccesses(
    ...args: Parameters<Shard['reportSuccesses']>
  ): ReturnType<Shard['reportSuccesses']> {
    return this.shard.reportSuccesses(...args);
  }
}
