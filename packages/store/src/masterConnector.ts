import { Redis, SentinelConnector, type RedisOptions } from 'ioredis';

/** What a Sentinel publishes when another server became the master. */
const SWITCH_CHANNEL = '+switch-master';
/** Longest pause between two tries to reach a Sentinel that is gone, ms. */
const MAX_RETRY_DELAY_MS = 5_000;
/** How long a Sentinel may take to say who the master is, ms. */
const ANSWER_MS = 2_000;

type SentinelOptions = ConstructorParameters<typeof SentinelConnector>[0];
type ErrorEmitter = Parameters<SentinelConnector['connect']>[0];
type Stream = Awaited<ReturnType<SentinelConnector['connect']>>;

/**
 * Connects to the master that the Sentinels name, and leaves it when they name another one: a master that hangs, or is
 * cut off from them only, closes no connection, and one that comes back believes for ten seconds that it is the master.
 *
 * In place of the `failoverDetector` of ioredis, which gives a client up for good whose connection is just being opened
 * when the Sentinels change their mind, misses what they say before it listens, and takes a connection to each Sentinel
 * for each client.
 */
export class MasterConnector extends SentinelConnector {
  /** The master as the Sentinel called it that was asked last, `host:port`. */
  #named = '';
  /** There was somebody at what it named, and it still is the master as far as is known. */
  #wasRight = false;

  /** @param options - Those of ioredis, with Sentinels. */
  constructor(options: SentinelOptions) {
    super(options);
    const { natMap, sentinelCommandTimeout = ANSWER_MS } = options;
    // Called with each name before it is used, the master's last: nothing else tells it.
    const noteName = (name: string): { host: string; port: number } | null => {
      this.#named = name;
      return typeof natMap === 'function' ? natMap(name) : (natMap?.[name] ?? null);
    };
    const own = { natMap: noteName, failoverDetector: false, sentinelCommandTimeout };
    this.options = { ...options, ...own };
  }

  override async connect(emitError: ErrorEmitter): Promise<Stream> {
    this.#chooseSentinel();
    const stream = await super.connect(emitError);
    const named = this.#named;
    stream.once('connect', () => {
      this.#wasRight = true;
      const leave = (): void => {
        this.#wasRight = false;
        stream.destroy();
      };
      stream.once('close', MasterWatch.of(this.options).follow({ named, leave }));
    });
    return stream;
  }

  /** The one that was right is asked first again; after one that was not the next one is. */
  #chooseSentinel(): void {
    const isThere = this.#wasRight || !this.sentinelIterator.next().done;
    this.#wasRight = false;
    this.sentinelIterator.reset(isThere);
  }
}

/** A connection to a master. */
interface Follower {
  /** Of what server, as Sentinels call it. */
  readonly named: string;
  /** Ends it. */
  leave(): void;
}

/** Listens to the Sentinels of a master for all connections of this process, as long as there are any. */
class MasterWatch {
  static readonly #open = new Map<string, MasterWatch>();

  readonly #key: string;
  readonly #name: string;
  readonly #sentinels: readonly Redis[];
  readonly #followers = new Set<Follower>();

  /** The one for these Sentinels. */
  static of(options: SentinelOptions): MasterWatch {
    const { name, sentinels, sentinelUsername, sentinelPassword, sentinelTLS } = options;
    const key = JSON.stringify([name, sentinels, sentinelUsername, sentinelPassword, sentinelTLS]);
    const open = MasterWatch.#open.get(key) ?? new MasterWatch(key, options);
    MasterWatch.#open.set(key, open);
    return open;
  }

  private constructor(key: string, options: SentinelOptions) {
    this.#key = key;
    this.#name = options.name!;
    this.#sentinels = options.sentinels!.map(({ host, port, family }) => {
      const at = {
        ...(host !== undefined && { host }),
        ...(family !== undefined && { family }),
        port: port ?? 26_379,
      };
      return this.#listen({ ...at, ...loginOf(options) });
    });
  }

  /** @returns A function that ends it. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower);
    // What was said between the answer to who is the master and now.
    void this.#check();
    return () => {
      this.#followers.delete(follower);
      if (this.#followers.size > 0) return;
      MasterWatch.#open.delete(this.#key);
      for (const sentinel of this.#sentinels) sentinel.disconnect();
    };
  }

  #listen(options: RedisOptions): Redis {
    const sentinel = new Redis({
      ...options,
      // What is heard and what is asked go over one connection, in order.
      protocol: 3,
      replyMapping: 'legacy',
      autoResubscribe: false,
      enableReadyCheck: false,
      commandTimeout: ANSWER_MS,
      keepAlive: ANSWER_MS,
      retryStrategy: (times) => Math.min(times * 100, MAX_RETRY_DELAY_MS),
    });
    // That one is gone is for the others to make up for.
    sentinel.on('error', () => {});
    sentinel.on('message', () => void this.#check());
    sentinel.on('ready', () => {
      // One that does not let us listen is asked when a connection is opened, at least.
      sentinel.subscribe(SWITCH_CHANNEL).then(
        () => this.#check(),
        () => {},
      );
    });
    return sentinel;
  }

  /** Ends connections to what most of the Sentinels that answer do not take for the master. */
  async #check(): Promise<void> {
    const ready = this.#sentinels.filter(({ status }) => status === 'ready');
    const answers = (await Promise.all(ready.map((sentinel) => this.#ask(sentinel)))).filter(
      (answer) => answer !== null,
    );
    const master = answers.find(
      (one) => answers.filter((other) => other === one).length * 2 > answers.length,
    );
    if (master === undefined) return;
    for (const follower of this.#followers) if (follower.named !== master) follower.leave();
  }

  /** Who the master is, `host:port`; null when there is no answer. */
  async #ask(sentinel: Redis): Promise<string | null> {
    try {
      const answer = await sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#name);
      return Array.isArray(answer) ? answer.join(':') : null;
    } catch {
      return null;
    }
  }
}

function loginOf({
  sentinelUsername: username,
  sentinelPassword: password,
  sentinelTLS: tls,
  connectTimeout,
}: SentinelOptions): RedisOptions {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls }),
    ...(connectTimeout !== undefined && { connectTimeout }),
  };
}
