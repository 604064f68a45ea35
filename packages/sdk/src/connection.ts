import { ConnectionError, DroverError, ResourceExhaustedError } from '@drover/shared';
import { Redis, type RedisOptions } from 'ioredis';

/**
 * Where Redis is: a `redis://` or `rediss://` URL or the path of a unix socket; options of
 * ioredis; or an ioredis instance, which is used and never closed.
 */
export type ConnectionOption = string | RedisOptions | Redis;

/** How long the first connection may take before it counts as not reachable. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A command waits over so many reconnections (about ten seconds) before it fails. */
const MAX_RETRIES_PER_REQUEST = 12;

/** A connection to Redis that knows whether it is ours to close, and how to speak of itself. */
export class Connection {
  readonly redis: Redis;
  readonly #owned: boolean;
  #lastError: Error | null = null;
  readonly #duplicates = new Set<Redis>();

  constructor(option: ConnectionOption) {
    this.#owned = !(option instanceof Redis);
    this.redis = option instanceof Redis ? option : createRedis(option);
    // Without a listener ioredis writes every failed attempt to the console.
    if (this.#owned) {
      this.redis.on('error', (error: Error) => {
        this.#lastError = error;
      });
    }
  }

  /** Host and port, or the socket's path; never a password. */
  get address(): string {
    const { path, host, port } = this.redis.options;
    return path ?? `${host ?? 'localhost'}:${port ?? 6379}`;
  }

  /**
   * Connects if that has not been done.
   *
   * @throws ConnectionError with what to do, when Redis is not there or refuses the login.
   */
  async connect(): Promise<void> {
    if (this.redis.status !== 'wait') return;
    try {
      await this.redis.connect();
    } catch (error) {
      const cause = this.#lastError ?? error;
      this.close();
      throw connectionError(this.address, cause);
    }
  }

  /** A connection of its own for commands that block. Closed with this one at the latest. */
  duplicate(): Redis {
    const redis = this.redis.duplicate({ lazyConnect: false, maxRetriesPerRequest: null });
    redis.on('error', () => undefined);
    redis.once('end', () => this.#duplicates.delete(redis));
    this.#duplicates.add(redis);
    return redis;
  }

  /** Closes what is ours. A given instance stays open. */
  close(): void {
    for (const redis of this.#duplicates) redis.disconnect();
    this.#duplicates.clear();
    if (this.#owned) this.redis.disconnect();
  }

  /** Runs a call and turns what ioredis throws into errors that say what to do. */
  async guard<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw this.translate(error);
    }
  }

  /** An error of ioredis as one of ours; anything else as it is. */
  translate(error: unknown): unknown {
    if (error instanceof DroverError || !(error instanceof Error)) return error;
    if (error.message.startsWith('OOM ')) {
      return new ResourceExhaustedError(
        `Redis at ${this.address} has no memory left: raise maxmemory, or delete finished Jobs`,
        { cause: error },
      );
    }
    if (error.message.startsWith('MISCONF ')) {
      return new ResourceExhaustedError(
        `Redis at ${this.address} can not write to its disk and takes no changes: ` +
          `make room there, or see its log (${error.message.slice('MISCONF '.length)})`,
        { cause: error },
      );
    }
    return isConnectionTrouble(error)
      ? connectionError(this.address, this.#lastError ?? error)
      : error;
  }
}

function createRedis(option: string | RedisOptions): Redis {
  const ours = {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: MAX_RETRIES_PER_REQUEST,
  };
  if (typeof option === 'string') {
    const address = option.replace(/^unix:(\/\/)?(?=\/)/, '');
    checkUrl(address);
    return new Redis(address, ours);
  }
  // The mapping of replies is ours to choose: the store reads the classic one.
  const { replyMapping: _mapping, ...options } = option;
  return new Redis({ ...ours, ...options, lazyConnect: true });
}

function checkUrl(text: string): void {
  if (text.startsWith('/')) return;
  if (URL.canParse(text) && /^rediss?:$/.test(new URL(text).protocol)) return;
  throw new ConnectionError(
    `${JSON.stringify(text.replace(/\/\/[^@/]*@/, '//***@'))} is no address of a Redis: ` +
      'give redis://[user:password@]host:port[/db], rediss://... for TLS, or the path of a socket',
  );
}

const TROUBLE =
  /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|EACCES|EPIPE|Connection is closed|connect ETIMEDOUT|NOAUTH|WRONGPASS|NOPERM|MaxRetriesPerRequest|max retries per request|Stream isn't writeable/;

function isConnectionTrouble(error: Error): boolean {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return TROUBLE.test(`${code} ${error.name} ${error.message}`);
}

function connectionError(address: string, cause: unknown): ConnectionError {
  return new ConnectionError(connectionAdvice(address, cause), { cause });
}

function connectionAdvice(address: string, cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/WRONGPASS|invalid password/i.test(text)) {
    return `Redis at ${address} refused the login: wrong user name or password`;
  }
  if (/NOAUTH/.test(text)) {
    return `Redis at ${address} wants a password: give it as redis://:PASSWORD@HOST:PORT`;
  }
  if (/NOPERM/.test(text)) {
    return `Redis at ${address} does not let this user do that: ${text}`;
  }
  const reason = reasonOf(text);
  return (
    `Redis at ${address} is not reachable (${reason}): ` +
    'start one with `drover dev`, or check the address'
  );
}

function reasonOf(text: string): string {
  if (/ECONNREFUSED/.test(text)) return 'nothing listens there';
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return 'the host name is not known';
  if (/ETIMEDOUT|timed? ?out/i.test(text)) return 'no answer';
  if (/ENOENT/.test(text)) return 'there is no such socket';
  if (/EACCES/.test(text)) return 'permission denied';
  return text;
}
