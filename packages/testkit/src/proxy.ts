import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Where a proxy leads: a TCP port or a unix socket. */
export type ProxyTarget =
  | { readonly port: number; readonly host?: string }
  | { readonly path: string };

/** Two sockets joined, the client's and the target's. */
interface Pair {
  readonly client: Socket;
  readonly target: Socket;
  /** What is on its way, one for each direction. */
  readonly lines: DelayLine[];
}

/**
 * A TCP proxy on the loopback interface that can do to a connection what networks do.
 *
 * Made by {@link startProxy}. Healthy at first.
 */
export class FaultProxy {
  /** The port it listens on. */
  readonly port: number;
  readonly #server: Server;
  readonly #target: ProxyTarget;
  readonly #pairs = new Set<Pair>();
  #mode: 'healthy' | 'cut' | 'blackhole' | 'deaf' = 'healthy';
  #delayMs = 0;

  /** Use {@link startProxy}. */
  constructor(server: Server, target: ProxyTarget) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client) => this.#accept(client));
  }

  /** How many connections are open. */
  get connectionCount(): number {
    return this.#pairs.size;
  }

  /** Resets every connection, and each new one, until `heal()`. */
  cut(): void {
    this.#mode = 'cut';
    for (const pair of this.#pairs) resetPair(pair);
  }

  /** Keeps connections open, takes new ones, and passes nothing on, until `heal()`. */
  blackhole(): void {
    this.#mode = 'blackhole';
    for (const pair of this.#pairs) {
      pair.client.pause();
      pair.target.pause();
    }
  }

  /**
   * Passes on what clients send and keeps back what they are answered, until `heal()`: everything is done, and nobody
   * hears of it. With a `cut()` before the heal the answers are lost.
   */
  deafen(): void {
    this.#mode = 'deaf';
    for (const pair of this.#pairs) pair.target.pause();
  }

  /** Ends `cut`, `blackhole` and `deafen`; what was held back arrives now. */
  heal(): void {
    this.#mode = 'healthy';
    for (const pair of this.#pairs) {
      for (const line of pair.lines) line.run();
      pair.client.resume();
      pair.target.resume();
    }
  }

  /** Passes every piece of data on `ms` later, in both directions; 0 ends the delay. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Resets all connections and stops listening. */
  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    client.on('error', ignore);
    if (this.#mode === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const target = connect(this.#target);
    const pair: Pair = { client, target, lines: [] };
    this.#pairs.add(pair);
    this.#pass(pair, client, target, () => this.#mode !== 'blackhole');
    this.#pass(pair, target, client, () => this.#mode !== 'blackhole' && this.#mode !== 'deaf');
    if (this.#mode === 'blackhole') client.pause();
    if (this.#mode === 'blackhole' || this.#mode === 'deaf') target.pause();
  }

  #pass(pair: Pair, from: Socket, to: Socket, isOpen: () => boolean): void {
    const line = new DelayLine(isOpen);
    pair.lines.push(line);
    from.setNoDelay(true);
    from.on('error', ignore);
    from.on('data', (data) => {
      line.push(this.#delayMs, () => {
        // Back-pressure: read on when the other side took what it got.
        if (to.writable && !to.write(data)) {
          from.pause();
          to.once('drain', () => {
            if (isOpen()) from.resume();
          });
        }
      });
    });
    from.on('close', () => {
      // Until the other side is closed, too: that waits for the heal, while nothing is passed on.
      if (to.closed) this.#pairs.delete(pair);
      line.push(this.#delayMs, () => to.destroy());
    });
  }
}

/** Does things after a delay, always in the order they came, and not while it is shut. */
class DelayLine {
  readonly #isOpen: () => boolean;
  readonly #queue: { readonly dueMs: number; readonly action: () => void }[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(isOpen: () => boolean) {
    this.#isOpen = isOpen;
  }

  push(delayMs: number, action: () => void): void {
    this.#queue.push({ dueMs: performance.now() + delayMs, action });
    if (this.#timer === null) this.run();
  }

  /** Does what is due and sets the timer for the rest. */
  run(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#isOpen()) {
      const [first] = this.#queue;
      if (first === undefined) return;
      const waitMs = first.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.run(), Math.ceil(waitMs));
        return;
      }
      this.#queue.shift();
      first.action();
    }
  }
}

/** Starts a proxy before `target`, on a free port of 127.0.0.1. */
export async function startProxy(options: { readonly target: ProxyTarget }): Promise<FaultProxy> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new FaultProxy(server, options.target);
}

function resetPair({ client, target }: Pair): void {
  client.resetAndDestroy();
  target.destroy();
}

/** A broken connection is what a fault proxy is for; 'close' follows and cleans up. */
function ignore(): void {}
