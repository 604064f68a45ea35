import type { ConnectionOptions } from 'node:tls';

import { ConnectionError, DroverError, ResourceExhaustedError } from '@drover/shared';
import {
  addressOf,
  duplicateClient,
  isClient,
  openClient,
  openSubscriberClient,
  type RedisClient,
  type RedisConnection,
} from '@drover/store';
import { Cluster, type Redis } from 'ioredis';

/**
 * Where Redis is: an address (`redis://`, `rediss://` for TLS, `redis+sentinel://`, `redis+cluster://`, or the path of
 * a unix socket); options of ioredis, those of a cluster with some of its nodes as `cluster`; or a client of ioredis,
 * which is used and never closed. An address for TLS (`rediss`) may have the parameters `cacert`, `cert` and `key`, which
 * name files in PEM form, and `servername`.
 */
export type ConnectionOption = RedisConnection;

/** How long the first connection may take before it counts as not reachable. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A command waits over so many reconnections (about ten seconds) before it fails. */
const MAX_RETRIES_PER_REQUEST = 12;

/** What messages say of a connection. */
interface Whereabouts {
  readonly redis: RedisClient;
  readonly address: string;
  readonly tls: ConnectionOptions | undefined;
}

/** Of connections whose commands wait for as long as it takes. */
const WAITING = { lazyConnect: false, maxRetriesPerRequest: null };

/** A connection to Redis that knows whether it is ours to close, and how to speak of itself. */
export class Connection {
  readonly redis: RedisClient;
  readonly #owned: boolean;
  #lastError: Error | null = null;
  readonly #duplicates = new Set<RedisClient>();

  constructor(option: ConnectionOption) {
    this.#owned = !isClient(option);
    this.redis = isClient(option) ? option : createClient(option);
    // Without a listener ioredis writes every failed attempt to the console.
    if (this.#owned) {
      this.redis.on('error', (error: Error) => {
        // What is the matter with the last of the nodes of a cluster says more than that all failed.
        const { lastNodeError } = error as { lastNodeError?: Error };
        this.#lastError = lastNodeError ?? error;
      });
    }
  }

  /** Hosts and ports, or the socket's path; never a password. */
  get address(): string {
    return addressOf(this.redis);
  }

  /** What TLS it is to have; undefined for none. */
  get tls(): ConnectionOptions | undefined {
    const { redis } = this;
    return redis instanceof Cluster ? redis.options.redisOptions?.tls : redis.options.tls;
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
      throw connectionError(this, cause);
    }
  }

  /** A connection of its own for commands that block. Closed with this one at the latest. */
  duplicate(): RedisClient {
    return this.#own(duplicateClient(this.redis, WAITING));
  }

  /** A connection for pub/sub. Closed with this one at the latest. */
  openSubscription(): Redis {
    return this.#own(openSubscriberClient(this.redis, WAITING));
  }

  #own<T extends RedisClient>(redis: T): T {
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
    const advice = wrongKindAdvice(error.message, this.redis);
    if (advice !== null) {
      return new ConnectionError(`Redis at ${this.address} ${advice}`, { cause: error });
    }
    return isConnectionTrouble(error) ? connectionError(this, this.#lastError ?? error) : error;
  }
}

function createClient(option: Exclude<ConnectionOption, RedisClient>): RedisClient {
  const ours = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: MAX_RETRIES_PER_REQUEST,
  };
  const given = typeof option === 'string' ? {} : option;
  return openClient(option, { ...ours, ...pick(given, ours), lazyConnect: true });
}

/** Of `from` what is also in `like`: what the caller says himself is his. */
function pick<T extends object>(from: object, like: T): Partial<T> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => name in like)) as Partial<T>;
}

const TROUBLE =
  /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|EACCES|EPIPE|Connection is closed|connect ETIMEDOUT|NOAUTH|WRONGPASS|NOPERM|MaxRetriesPerRequest|max retries per request|Stream isn't writeable/;
/** What Node and OpenSSL say when TLS does not come about. */
const TLS_TROUBLE =
  /CERT_|_CERT|ERR_TLS|ERR_SSL|ERR_OSSL|UNABLE_TO_|SSL routines|before secure TLS connection/;

function isConnectionTrouble(error: Error): boolean {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const text = `${code} ${error.name} ${error.message}`;
  return TROUBLE.test(text) || TLS_TROUBLE.test(text);
}

function connectionError(where: Whereabouts, cause: unknown): ConnectionError {
  return new ConnectionError(connectionAdvice(where, cause), { cause });
}

function connectionAdvice({ redis, address, tls }: Whereabouts, cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (TLS_TROUBLE.test(`${code} ${text}`)) {
    return `Redis at ${address} can not be reached by TLS: ${tlsAdvice(code, text)}`;
  }
  const wrongKind = wrongKindAdvice(text, redis);
  if (wrongKind !== null) return `Redis at ${address} ${wrongKind}`;
  if (/WRONGPASS|invalid password/i.test(text)) {
    return `Redis at ${address} refused the login: wrong user name or password`;
  }
  if (/NOAUTH/.test(text)) {
    return `Redis at ${address} wants a password: give it as redis://:PASSWORD@HOST:PORT`;
  }
  if (/NOPERM/.test(text)) {
    return `Redis at ${address} does not let this user do that: ${text}`;
  }
  const reason = reasonOf(text, tls);
  return (
    `Redis at ${address} is not reachable (${reason}): ` +
    'start one with `drover dev`, or check the address'
  );
}

/** What to do when the address is one of another kind of Redis; null when it is not that. */
function wrongKindAdvice(text: string, client: RedisClient): string | null {
  if (/^(?:MOVED|CROSSSLOT|CLUSTERDOWN) /.test(text) && !(client instanceof Cluster)) {
    return `is a node of a cluster: give redis+cluster://${addressOf(client)}`;
  }
  if (/cluster support disabled/.test(text)) return 'is no cluster: give redis://HOST:PORT';
  if (text.startsWith('READONLY ')) {
    return 'takes no writes, it is a replica: give the address of its master, or of its Sentinels';
  }
  return null;
}

/** What is wrong with TLS, and what to do. */
function tlsAdvice(code: string, text: string): string {
  const said = `${code} ${text}`;
  if (/ALTNAME_INVALID/.test(said)) {
    return `its certificate is for another host: use a name that it has, or say with servername which one is right (${text})`;
  }
  if (/CERT_HAS_EXPIRED/.test(said)) return 'its certificate has expired';
  if (/CERT_NOT_YET_VALID/.test(said)) return 'its certificate is not valid yet';
  if (/SELF_SIGNED|UNABLE_TO_|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE/.test(said)) {
    return 'its certificate is of an authority that is not trusted here: name the right one with cacert';
  }
  if (/CERTIFICATE_REQUIRED|certificate required/i.test(said)) {
    return 'it is a server that wants a client certificate: give cert and key';
  }
  if (/ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|unknown ca|bad certificate/i.test(said)) {
    return 'it is a server that does not accept our client certificate';
  }
  if (/KEY_VALUES_MISMATCH/.test(said)) return 'cert and key do not belong together';
  if (/WRONG_VERSION_NUMBER|packet length|before secure TLS connection/i.test(said)) {
    return 'what listens there does not speak TLS: use redis:// instead of rediss://, or its port for TLS';
  }
  return text;
}

function reasonOf(text: string, tls: ConnectionOptions | undefined): string {
  if (/ECONNREFUSED/.test(text)) return 'nothing listens there';
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return 'the host name is not known';
  if (/ETIMEDOUT|timed? ?out/i.test(text)) {
    // Redis waits for the rest of what it takes for a command.
    return tls === undefined ? 'no answer' : 'no answer, as from a server that does not speak TLS';
  }
  if (/ECONNRESET|EPIPE/.test(text)) return `the connection was cut at once, as by ${cutBy(tls)}`;
  if (/ENOENT/.test(text)) return 'there is no such socket';
  if (/EACCES/.test(text)) return 'permission denied';
  return text;
}

/** Who cuts a connection at once. What a server of TLS 1.3 has against us often comes after that. */
function cutBy(tls: ConnectionOptions | undefined): string {
  if (tls === undefined) return 'a server that speaks TLS only: that wants rediss://';
  return tls.cert === undefined
    ? 'a server that wants a client certificate: give cert and key'
    : 'a server that does not accept our client certificate';
}
