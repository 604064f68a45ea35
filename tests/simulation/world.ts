/**
 * The world of a simulation: time, processes, and the way of their commands to a real Redis.
 *
 * Every command of every process waits here until it is its turn, so that any order of the
 * commands of different processes can happen, and each may be lost, sent twice, or come late. One
 * command is under way at a time; which one is next follows from the seed.
 */
import { setImmediate as afterMicrotasks } from 'node:timers/promises';
import type { TestClock } from '@drover/testkit';
import type { Shard } from '@drover/store';
import type { Redis } from 'ioredis';
import type { Random } from './random.ts';
import { describeArguments, describeReply } from './trace.ts';

/** Thrown into a process in place of an answer. */
export class SimulatedFault extends Error {
  override readonly name = 'SimulatedFault';
}

/** Whether a process must live with an error: a simulated one, or that Redis' memory is full. */
export function isFault(error: unknown): boolean {
  if (error instanceof SimulatedFault) return true;
  if (!(error instanceof Error)) return false;
  return (
    error.message.startsWith('OOM ') || (error as { code?: unknown }).code === 'RESOURCE_EXHAUSTED'
  );
}

/** A process as the world sees it. */
export interface Actor {
  readonly name: string;
  alive: boolean;
  /** Until then it does nothing: its event loop is blocked. */
  pausedUntilMs: number;
  /** Commands that it has sent and that have no answer; they are carried out in this order. */
  readonly pending: Command[];
}

/** A command on its way. */
interface Command {
  readonly name: string;
  readonly run: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Timer {
  readonly atMs: number;
  readonly actor: Actor;
  readonly run: () => void;
}

/** Something that can happen now. */
export interface Opportunity {
  readonly name: string;
  readonly run: () => void | Promise<void>;
}

/** What happens with a command, by its probability. */
const FAULTS = {
  /** Carried out, the answer is lost, and it is sent again: what ioredis does after a reconnect. */
  sentTwice: 0.04,
  /** Carried out and answered; a copy in the buffer of a dead connection comes late. */
  comesAgainLate: 0.05,
  /** Carried out, and the process is told that it failed. */
  answerLost: 0.03,
  /** Not carried out, and the process is told that it failed. */
  requestLost: 0.02,
} as const;

/** What a command of ours does, as the ledger sees it. */
export type Witness = (script: string, args: readonly unknown[], reply: unknown) => void;

/** See the top of the file. */
export class World {
  readonly random: Random;
  readonly clock: TestClock;
  readonly trace: string[] = [];
  /** Whether faults happen. */
  faulty = true;
  /** The first thing that must not be. */
  failure: Error | null = null;
  readonly #redis: Redis;
  readonly #witness: Witness;
  /** Looks at the state after every script. */
  readonly #check: (what: string) => Promise<void>;
  readonly #actors: Actor[] = [];
  readonly #late: Command[] = [];
  #timers: Timer[] = [];

  constructor(options: {
    readonly random: Random;
    readonly clock: TestClock;
    readonly redis: Redis;
    readonly witness: Witness;
    readonly check: (what: string) => Promise<void>;
  }) {
    this.random = options.random;
    this.clock = options.clock;
    this.#redis = options.redis;
    this.#witness = options.witness;
    this.#check = options.check;
  }

  get nowMs(): number {
    return this.clock.now();
  }

  /** A new process. */
  start(name: string): Actor {
    const actor = { name, alive: true, pausedUntilMs: 0, pending: [] };
    this.#actors.push(actor);
    this.note(`${name} starts`);
    return actor;
  }

  /** The process is gone; what it had sent may still arrive. */
  kill(actor: Actor): void {
    this.note(`${actor.name} dies`);
    actor.alive = false;
    this.#actors.splice(this.#actors.indexOf(actor), 1);
    for (const command of actor.pending) if (this.random.chance(0.5)) this.#late.push(command);
    this.#timers = this.#timers.filter((timer) => timer.actor !== actor);
  }

  /** Runs at a time, unless the process is gone by then. */
  at(actor: Actor, atMs: number, run: () => void): void {
    if (actor.alive) this.#timers.push({ atMs, actor, run });
  }

  /** Notes a line for the trace that a failure prints. */
  note(text: string): void {
    this.trace.push(`${String(this.nowMs % 10_000_000).padStart(7)} ${text}`);
  }

  /** Something went wrong in a process that has nobody to tell. */
  fail(error: unknown): void {
    if (isFault(error)) return;
    this.failure ??= error instanceof Error ? error : new Error(String(error));
  }

  /** Runs a process' own asynchronous work; what it throws beside simulated faults ends the simulation. */
  spawn(work: Promise<void>): void {
    work.catch((error: unknown) => this.fail(error));
  }

  /** A shard whose commands go by way of this world. */
  shardOf(actor: Actor, shard: Shard): Shard {
    const redis = new Proxy(this.#redis, {
      get: (target, name, receiver) => {
        const value: unknown = Reflect.get(target, name, receiver);
        if (name === 'pipeline') return () => this.#pipeline(actor, target.pipeline());
        if (typeof value !== 'function' || typeof name !== 'string') return value;
        return (...args: unknown[]) =>
          this.send(actor, name, async () => {
            const reply: unknown = await Reflect.apply(value, target, args);
            return steady(name, reply, (script) => {
              this.#witness(script, args, reply);
              const text = describeArguments(script, args);
              this.note(`  ${script} ${text} -> ${describeReply(script, reply)}`);
            });
          });
      },
    });
    return shard.on(redis);
  }

  #pipeline(actor: Actor, pipeline: ReturnType<Redis['pipeline']>) {
    const exec = pipeline.exec.bind(pipeline);
    pipeline.exec = () => this.send(actor, 'pipeline', () => exec());
    return pipeline;
  }

  /** Puts a command on its way; answers when it was carried out. */
  send<T>(actor: Actor, name: string, run: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // Of a process that is gone nothing is heard any more.
      if (!actor.alive) return;
      actor.pending.push({ name, run, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  /**
   * Does the next thing; where there is none, lets time go on until there is.
   *
   * @param more - What else can happen now.
   * @param moreAtMs - When there will be more.
   */
  async step(more: readonly Opportunity[], moreAtMs: number): Promise<void> {
    const options: Opportunity[] = [...more];
    const awake = this.#actors.filter((actor) => actor.pausedUntilMs <= this.nowMs);
    for (const actor of awake) {
      if (actor.pending.length > 0)
        options.push({ name: actor.name, run: () => this.#carryOut(actor) });
    }
    const due = this.#timers.filter(
      (timer) => timer.atMs <= this.nowMs && awake.includes(timer.actor),
    );
    for (const timer of due) options.push({ name: timer.actor.name, run: () => this.#fire(timer) });
    if (this.#late.length > 0 && (options.length === 0 || this.random.chance(0.1))) {
      options.push({ name: 'late', run: () => this.#carryOutLate() });
    }
    if (options.length === 0) {
      this.#wait(moreAtMs);
      return;
    }
    if (this.faulty && this.random.chance(0.03)) this.clock.advance(this.random.between(1, 300));
    await this.random.pick(options).run();
    // Whoever waited for this goes on before anything else happens.
    await afterMicrotasks();
    if (this.failure !== null) throw this.failure;
  }

  #wait(moreAtMs: number): void {
    const times = this.#timers.map((timer) => Math.max(timer.atMs, timer.actor.pausedUntilMs));
    for (const actor of this.#actors) if (actor.pending.length > 0) times.push(actor.pausedUntilMs);
    if (Number.isFinite(moreAtMs)) times.push(moreAtMs);
    // With every process dead only time goes on.
    if (times.length === 0) times.push(this.nowMs + 500);
    this.clock.advance(Math.max(0, Math.min(...times) - this.nowMs));
  }

  #fire(timer: Timer): void {
    this.#timers.splice(this.#timers.indexOf(timer), 1);
    timer.run();
  }

  async #carryOut(actor: Actor): Promise<void> {
    const command = actor.pending.shift()!;
    const fault = this.faulty && isScript(command.name) ? this.#chooseFault() : null;
    this.note(
      `${actor.name} ${command.name.replace(/^drover_|Buffer$/g, '')}${fault === null ? '' : ` (${fault})`}`,
    );
    if (fault === 'requestLost') {
      command.reject(new SimulatedFault(`${command.name}: request lost`));
      return;
    }
    const answer = await this.#run(command);
    if (fault === 'sentTwice') {
      actor.pending.unshift(command);
      return;
    }
    if (fault === 'comesAgainLate') this.#late.push(command);
    if (fault === 'answerLost') command.reject(new SimulatedFault(`${command.name}: answer lost`));
    else if ('error' in answer) command.reject(answer.error);
    else command.resolve(answer.value);
  }

  async #carryOutLate(): Promise<void> {
    const [command] = this.#late.splice(this.random.between(0, this.#late.length - 1), 1);
    this.note(`late ${command!.name}`);
    // Nobody hears the answer.
    await this.#run(command!);
  }

  async #run(command: Command): Promise<{ value: unknown } | { error: unknown }> {
    const answer = await command.run().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if (isScript(command.name)) await this.#check(command.name);
    return answer;
  }

  #chooseFault(): keyof typeof FAULTS | null {
    let left = this.random.next();
    for (const [name, probability] of Object.entries(FAULTS)) {
      left -= probability;
      if (left < 0) return name as keyof typeof FAULTS;
    }
    return null;
  }
}

function isScript(name: string): boolean {
  return name.startsWith('drover_') || name === 'offer';
}

/** Redis answers sets and hashes in an order of its own; here the seed alone decides. */
function steady(name: string, reply: unknown, witness: (script: string) => void): unknown {
  const script = /^drover_(\w+)Buffer$/.exec(name)?.[1];
  if (script !== undefined) witness(script);
  if (script === 'expireSession' && Array.isArray(reply) && Number(reply[0]) === 0) {
    const [code, ...claims] = reply as [unknown, ...unknown[]];
    return [code, ...claims.map(String).toSorted()];
  }
  if (name === 'hscanBuffer') {
    const [cursor, flat] = reply as [Buffer, Buffer[]];
    const pairs = flat.flatMap((field, i) => (i % 2 === 0 ? [[field, flat[i + 1]!] as const] : []));
    return [cursor, pairs.toSorted((a, b) => Number(a[0]) - Number(b[0])).flat()];
  }
  return reply;
}
