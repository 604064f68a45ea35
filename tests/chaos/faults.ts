/** What breaks in a run. Every fault heals by itself. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Random } from '../integration/support/random.ts';
import type { History } from './history.ts';
import type { Host, World } from './world.ts';

/** Pause between the beginnings of two faults, at most, ms. */
const MAX_PAUSE_MS = 1_200;
/** Faults at once, at most. */
const MAX_AT_ONCE = 3;
/** As far as clocks are wrong, ms: half a day. */
const MAX_CLOCK_OFFSET_MS = 12 * 3_600_000;
/** Longer than a lease, so that some outlast it. */
const MAX_STANDSTILL_MS = 5_000;
const MAX_REDIS_DOWN_MS = 1_500;
/** A worker has its drain and some goodbyes; nothing takes as long on a machine that is not starved. */
const MOST_ENDING_MS = 90_000;

/** How long Node may take to write its report. */
const REPORT_MS = 5_000;

const HOST_FAULTS = [
  'kill',
  'kill',
  'end',
  'stand',
  'cut',
  'flap',
  'blackhole',
  'deaf',
  'slow',
] as const;
const REDIS_FAULTS = ['redisKill', 'redisStand', 'scriptFlush'] as const;
type Fault = (typeof HOST_FAULTS)[number] | (typeof REDIS_FAULTS)[number];

/** Breaks things until it is told to stop. */
export class Faults {
  /** Faults so far. */
  count = 0;
  readonly #world: World;
  readonly #random: Random;
  readonly #history: History;
  readonly #ongoing = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(world: World, random: Random, history: History) {
    this.#world = world;
    this.#random = random;
    this.#history = history;
  }

  /** Breaks things; resolves when all is healed. */
  async runUntil(endMs: number): Promise<void> {
    while (performance.now() < endMs && this.#failures.length === 0) {
      await delay(this.#random.integer(0, MAX_PAUSE_MS));
      if (this.#ongoing.size < MAX_AT_ONCE) this.#begin();
    }
    await Promise.all(this.#ongoing);
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  #begin(): void {
    const random = this.#random;
    const isRedis = random.integer(1, 12) === 1;
    const host = random.pick(this.#world.hosts);
    // Drawn whether it is used or not, so that what comes later does not depend on it.
    const fault: Fault = isRedis ? random.pick(REDIS_FAULTS) : random.pick(HOST_FAULTS);
    const ms = random.integer(0, MAX_STANDSTILL_MS);
    const offsetMs = random.pick([0, 1, -1]) * random.integer(0, MAX_CLOCK_OFFSET_MS);
    if (isRedis ? this.#world.isRedisBusy : host.isBusy) return;
    this.count += 1;
    this.#history.note(`${fault} of ${isRedis ? 'redis' : host.name} for ${ms} ms`);
    const done = (
      isRedis ? this.#breakRedis(fault, ms) : this.#breakHost(fault, host, ms, offsetMs)
    )
      .catch((error: unknown) => void this.#failures.push(error))
      .finally(() => this.#ongoing.delete(done));
    this.#ongoing.add(done);
  }

  async #breakHost(fault: Fault, host: Host, ms: number, clockOffsetMs: number): Promise<void> {
    const { proxy } = host;
    host.isBusy = true;
    try {
      switch (fault) {
        case 'kill':
        case 'end':
          host.isEnding = true;
          await endProcess(host, fault === 'kill' ? 'SIGKILL' : 'SIGTERM');
          await delay(Math.min(ms, MAX_REDIS_DOWN_MS));
          await this.#world.start(host, clockOffsetMs);
          break;
        case 'stand':
          host.process.signal('SIGSTOP');
          await delay(ms);
          host.process.signal('SIGCONT');
          break;
        case 'flap':
          proxy.cut();
          break;
        case 'cut':
          proxy.cut();
          await delay(ms);
          break;
        case 'blackhole':
          proxy.blackhole();
          await delay(ms);
          break;
        case 'deaf':
          proxy.deafen();
          await delay(ms);
          // Half of the time the answers arrive late, else never.
          if (ms % 2 === 0) proxy.cut();
          break;
        case 'slow':
          proxy.delay(ms / 20);
          await delay(MAX_STANDSTILL_MS);
          proxy.delay(0);
          break;
        default:
          throw new Error(`${fault} is no fault of a host`);
      }
    } finally {
      proxy.heal();
      host.isBusy = false;
      this.#history.note(`${host.name} is well again`);
    }
  }

  async #breakRedis(fault: Fault, ms: number): Promise<void> {
    const { redis, store } = this.#world;
    const downMs = Math.min(ms, MAX_REDIS_DOWN_MS);
    this.#world.isRedisBusy = true;
    try {
      if (fault === 'redisKill') {
        await redis.kill();
        await delay(downMs);
        await redis.restart();
      } else if (fault === 'redisStand') {
        const { pid } = redis;
        if (pid === null) throw new Error('Redis is no process of the run');
        process.kill(pid, 'SIGSTOP');
        await delay(downMs);
        process.kill(pid, 'SIGCONT');
      } else {
        await store.redis.script('FLUSH');
      }
    } finally {
      this.#world.isRedisBusy = false;
      this.#history.note('redis is well again');
    }
  }
}

/** Ends a process; one that does not go is a fault of Drover, and ends the run. */
async function endProcess({ name, process }: Host, signal: NodeJS.Signals): Promise<void> {
  const ended = process.kill(signal).then(() => true);
  const isGone = await Promise.race([ended, delay(MOST_ENDING_MS, false, { ref: false })]);
  if (isGone) return;
  // Node writes down what it has open, beside the logs.
  process.signal('SIGUSR2');
  await delay(REPORT_MS);
  throw new Error(`${name} did not end within ${MOST_ENDING_MS} ms of ${signal}`);
}
