import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { LentPlace } from '../items/lentPlace.ts';
import type { Place } from '../runtime.ts';
import type { ObjectPort } from '../shardPort.ts';
import { ConfigProblem, NO_CONFIGS, type ConfigRef, type ConfigSet } from './configContent.ts';
import type { ConfigReader } from './configReader.ts';
import type { ObjectNews, ObjectWatch } from './objectNews.ts';
import { untilAborted } from './untilAborted.ts';

/** Why a container waits, as in `state.waiting`. */
export interface Waiting {
  readonly reason: string;
  readonly message: string;
}

/** What pods of a worker read ConfigMaps and Secrets with. */
export interface ConfigSources {
  readonly reader: ConfigReader;
  readonly news: ObjectNews;
}

/** Options of {@link PodConfigs}. */
export interface PodConfigsOptions extends ConfigSources {
  readonly port: ObjectPort;
  readonly namespace: string;
  /** Lent while the pod waits. */
  readonly place: Place;
  /** Nothing of the pod runs. */
  readonly isIdle: () => boolean;
  readonly logger: Logger;
}

/** What is to be got, and how. */
export interface ConfigWish<T> {
  readonly refs: readonly ConfigRef[];
  /** Makes something of what was read. @throws ConfigProblem when something is missing; anything else ends the wait. */
  readonly make: (configs: ConfigSet) => T | Promise<T>;
  /** Told why it waits, and null when it waits no more. */
  readonly tell: (waiting: Waiting | null) => void;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** What waits is told by a message. In case one got lost, it looks again after so long, too. */
const LOOK_AGAIN_MS = 30_000;
/** First and longest wait for what nobody tells: a file of the host. */
const HOST_BASE_MS = 1_000;
const HOST_CAP_MS = 30_000;
/** First and longest wait when Redis did not answer. */
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 1_000;

/** What one pod takes from ConfigMaps, Secrets and its host; what is missing is waited for. */
export class PodConfigs {
  readonly #options: PodConfigsOptions;
  readonly #place: LentPlace;
  #onRoom = Promise.withResolvers<void>();

  constructor(options: PodConfigsOptions) {
    this.#options = options;
    this.#place = new LentPlace(options.place, {
      mayLend: options.isIdle,
      onRoom: () => {
        this.#onRoom.resolve();
        this.#onRoom = Promise.withResolvers();
      },
    });
  }

  /** Reads what is wished, and waits for what is missing; null = told to stop. @throws what `make` throws. */
  async get<T>(wish: ConfigWish<T>): Promise<T | null> {
    const { logger } = this.#options;
    const getting = this.#get(wish);
    // Told to stop while Redis does not answer.
    getting.catch((error: unknown) => logger.debug({ err: error }, 'what a pod needs'));
    try {
      return await untilAborted(wish.signal, getting);
    } finally {
      this.#place.takeBack();
    }
  }

  async #get<T>(wish: ConfigWish<T>): Promise<T | null> {
    const { signal, tell } = wish;
    let watch: ObjectWatch | null = null;
    try {
      for (let failures = 0; !signal.aborted; failures++) {
        let waitMs: number;
        let configs: ConfigSet | null = null;
        try {
          configs = await this.#read(wish);
          const made = await wish.make(configs);
          if (watch !== null) await this.#goOn(signal);
          if (failures > 0 && !signal.aborted) tell(null);
          return made;
        } catch (error) {
          // What was read is no use: that is no matter of waiting.
          if (configs !== null && !(error instanceof ConfigProblem)) throw error;
          waitMs = this.#noteFailure(error, failures, wish);
        }
        if (signal.aborted) break;
        this.#place.lendSoon();
        // What changed before it was watched is seen by another look at once.
        if (watch === null) watch = await this.#watch(wish);
        else await watch.next(waitMs, signal);
      }
      return null;
    } finally {
      watch?.close();
    }
  }

  /** Says why it waits; answers when to look again at the latest. */
  #noteFailure<T>(error: unknown, failures: number, { signal, tell }: ConfigWish<T>): number {
    if (error instanceof ConfigProblem) {
      const { reason, message, isOfHost } = error;
      if (!signal.aborted) tell({ reason, message });
      return isOfHost ? backoffMs(failures, HOST_BASE_MS, HOST_CAP_MS) : LOOK_AGAIN_MS;
    }
    this.#options.logger.debug({ err: error }, 'what a pod needs was not read; trying again');
    return backoffMs(failures, RETRY_BASE_MS, RETRY_CAP_MS);
  }

  async #read<T>({ refs }: ConfigWish<T>): Promise<ConfigSet> {
    const { reader, port, namespace } = this.#options;
    return refs.length === 0 ? NO_CONFIGS : await reader.read(port, namespace, refs);
  }

  /** null = Redis does not answer. */
  async #watch<T>({ refs, signal }: ConfigWish<T>): Promise<ObjectWatch | null> {
    const { news, port, namespace, logger } = this.#options;
    const paths = refs.map(({ kind, name }) => `${kind} ${namespace}/${name}`);
    try {
      return await news.watch(port.objectChannel, new Set(paths));
    } catch (error) {
      logger.debug({ err: error }, 'news of objects can not be had; trying again');
      await untilAborted(signal, delay(RETRY_CAP_MS));
      return null;
    }
  }

  /** The place may be somebody else's by now. */
  async #goOn(signal: AbortSignal): Promise<void> {
    while (!this.#place.mayTakeBack && !signal.aborted) {
      await untilAborted(signal, this.#onRoom.promise);
    }
  }
}

function backoffMs(failures: number, baseMs: number, capMs: number): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(failures, 10));
}
