import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism, hostname, networkInterfaces, totalmem } from 'node:os';

import {
  bytesOf,
  cpuMilliOf,
  errorForLog,
  parseQuantity,
  type ComputeResources,
} from '@drover/shared';
import { pino, type Logger } from 'pino';

import type { HandlerDefinition } from './handler/defineHandler.ts';
import type { Connection } from './link.ts';
import type { WorkerOptions } from './options.ts';
import { placeMemoryLimit } from './process/cgroupPlace.ts';
import { DEFAULT_CRASH_LOOP, type CrashLoopPolicy } from './process/crashLoop.ts';
import { helperChoice, type HelperChoice } from './process/helperProgram.ts';
import { fixedUserOf, workerIdentity, type FixedUser } from './process/identity.ts';
import { Sandbox } from './process/sandbox.ts';
import type { RuntimeName } from './runtime.ts';

/** {@link WorkerOptions} with all defaults filled in. */
export interface ResolvedOptions {
  readonly connection: Connection;
  readonly prefix: string;
  readonly name: string;
  readonly pool: string;
  readonly runtimes: readonly RuntimeName[];
  readonly handlers: readonly HandlerDefinition[];
  readonly lanes: Readonly<Record<RuntimeName, number>>;
  readonly resources: ComputeResources;
  readonly threads: number;
  readonly threadMemoryMiB: number;
  readonly quantumMs: number;
  readonly drainTimeoutMs: number;
  readonly crashLoop: CrashLoopPolicy;
  readonly logTailBytes: number | undefined;
  readonly volumes: { readonly directory: string | undefined; readonly checkMs: number };
  readonly secretKeyFile: string | undefined;
  readonly workingDir: string | undefined;
  readonly programUser: FixedUser | null;
  readonly sandbox: Sandbox | undefined;
  readonly launcher: readonly string[] | undefined;
  readonly processHelper: HelperChoice;
  readonly logger: Logger;
}

const DEFAULT_HANDLER_LANES = 50;
const DEFAULT_QUANTUM_MS = 100;
const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;
const DEFAULT_VOLUME_CHECK_MS = 10_000;
const MAX_LANES = 10_000;
const HELPER_CHOICES: readonly HelperChoice[] = ['auto', 'native', 'javascript'];
const MAX_THREADS = 1_024;
const MIN_THREAD_MEMORY_MIB = 32;
/** About what Node gives the heap of a process at most by itself. */
const DEFAULT_THREAD_MEMORY_CAP_MIB = 4_096;
/** Share of the machine's memory that all threads may have together. */
const THREADS_MEMORY_SHARE = 0.75;

/**
 * Fills in defaults and checks what can be checked without Redis.
 *
 * @throws TypeError that names all that is wrong.
 */
export function resolveOptions(options: WorkerOptions): ResolvedOptions {
  const handlers = options.handlers ?? [];
  const runtimes = options.runtimes ?? [handlers.length > 0 ? 'handler' : 'process'];
  const pool = options.pool ?? 'default';
  const name = options.name ?? defaultName();
  const problems: string[] = [];
  // Part of a queue's name and of a label's value.
  if (!/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(pool)) {
    problems.push(`pool "${pool}": must be a label value, such as "gpu"`);
  }
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)) {
    problems.push(`name "${name}": must be a DNS name in lower case`);
  }
  if (runtimes.length === 0) problems.push('runtimes: at least one is needed');
  for (const runtime of runtimes) {
    if (runtime !== 'process' && runtime !== 'handler') {
      problems.push(`runtimes: "${String(runtime)}" is not one of process, handler`);
    }
  }
  if (runtimes.includes('handler') && handlers.length === 0) {
    problems.push('handlers: the runtime "handler" needs at least one');
  }
  const names = handlers.map((handler) => handler.name);
  for (const twice of new Set(names.filter((handler, index) => names.indexOf(handler) !== index))) {
    problems.push(`handlers: two are named "${twice}"`);
  }
  for (const handler of handlers) {
    if (handler.isolation !== 'thread' || handler.module !== null) continue;
    problems.push(
      `handlers: "${handler.name}" is to run in threads, and these load it from the module that exports it: name that to defineHandler, { isolation: 'thread', module: import.meta.url }, or give the file to \`drover worker --handlers\``,
    );
  }
  const { threads = availableParallelism(), threadMemoryMiB = defaultMemoryMiB(threads) } = options;
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS)) {
    problems.push(`threads ${threads}: must be an integer from 1 to ${MAX_THREADS}`);
  }
  if (!(threadMemoryMiB >= MIN_THREAD_MEMORY_MIB)) {
    problems.push(`threadMemoryMiB ${threadMemoryMiB}: must be ${MIN_THREAD_MEMORY_MIB} or more`);
  }
  const {
    maxPods,
    quantumMs = DEFAULT_QUANTUM_MS,
    drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS,
  } = options;
  if (
    maxPods !== undefined &&
    !(Number.isInteger(maxPods) && maxPods >= 1 && maxPods <= MAX_LANES)
  ) {
    problems.push(`maxPods ${maxPods}: must be an integer from 1 to ${MAX_LANES}`);
  }
  const cpu = amountOf('cpu', options.cpu, problems);
  const memory = amountOf('memory', options.memory, problems);
  if (!(quantumMs >= 0)) problems.push(`quantumMs ${quantumMs}: must be 0 or more`);
  if (!(drainTimeoutMs >= 0)) problems.push(`drainTimeoutMs ${drainTimeoutMs}: must be 0 or more`);
  const crashLoop = { ...DEFAULT_CRASH_LOOP, ...options.crashLoop };
  const { baseMs, capMs } = crashLoop;
  if (!(baseMs > 0)) problems.push(`crashLoop.baseMs ${baseMs}: must be more than 0`);
  if (!(capMs >= baseMs)) {
    problems.push(`crashLoop.capMs ${capMs}: must be at least baseMs, which is ${baseMs}`);
  }
  const { checkMs } = options.volumes ?? {};
  if (checkMs !== undefined && !(checkMs > 0)) {
    problems.push(`volumes.checkMs ${checkMs}: must be more than 0`);
  }
  let programUser: FixedUser | null = null;
  try {
    if (options.runAs !== undefined) programUser = fixedUserOf(options.runAs, workerIdentity());
  } catch (error) {
    problems.push((error as TypeError).message);
  }
  if (programUser !== null && !runtimes.includes('process')) {
    problems.push(
      'runAs: only the runtime "process" can do that; handlers are functions of the worker',
    );
  }
  let sandbox: Sandbox | undefined;
  try {
    if (options.sandbox !== undefined) {
      sandbox = new Sandbox(options.sandbox, options.volumes?.directory);
    }
  } catch (error) {
    problems.push((error as TypeError).message);
  }
  if (sandbox !== undefined && !runtimes.includes('process')) {
    problems.push(
      'sandbox: only the runtime "process" has one; handlers are functions of the worker',
    );
  }
  let processHelper: HelperChoice = 'auto';
  try {
    processHelper = options.processHelper ?? helperChoice();
  } catch (error) {
    problems.push((error as TypeError).message);
  }
  if (!HELPER_CHOICES.includes(processHelper)) {
    problems.push(`processHelper "${processHelper}": must be one of ${HELPER_CHOICES.join(', ')}`);
  }
  if (problems.length > 0) throw new TypeError(`worker options: ${problems.join('; ')}`);

  return {
    connection: options.connection,
    prefix: options.prefix ?? 'drover',
    name,
    pool,
    runtimes: [...new Set(runtimes)],
    handlers,
    lanes: {
      handler: maxPods ?? DEFAULT_HANDLER_LANES,
      process: maxPods ?? availableParallelism(),
    },
    resources: {
      cpuMilli: cpu === null ? availableParallelism() * 1_000 : cpuMilliOf(cpu),
      memoryBytes: memory === null ? machineMemory() : bytesOf(memory),
    },
    threads,
    threadMemoryMiB,
    quantumMs,
    drainTimeoutMs,
    crashLoop,
    logTailBytes: options.logTailBytes,
    volumes: {
      directory: options.volumes?.directory,
      checkMs: options.volumes?.checkMs ?? DEFAULT_VOLUME_CHECK_MS,
    },
    secretKeyFile: options.secretKeyFile,
    workingDir: options.workingDir ?? (programUser === null ? undefined : homeOf(programUser)),
    programUser,
    sandbox,
    launcher: options.launcher,
    processHelper,
    logger: (options.logger ?? pino({ level: 'silent' })).child(
      {},
      { serializers: { err: errorForLog } },
    ),
  };
}

/** Where programs of a user start, who may have no business in the worker's directory. */
function homeOf({ home }: FixedUser): string {
  return existsSync(home) ? home : '/';
}

/** So that pods that fill the memory of their threads fail alone, and not with the whole worker. */
function defaultMemoryMiB(threads: number): number {
  const share = Math.floor((machineMemory() * THREADS_MEMORY_SHARE) / threads / 2 ** 20);
  return Math.max(MIN_THREAD_MEMORY_MIB, Math.min(DEFAULT_THREAD_MEMORY_CAP_MIB, share || 0));
}

/** Of the machine, or of the container that this process is in; bytes. */
function machineMemory(): number {
  const constrained = process.constrainedMemory();
  const ofPlace = placeMemoryLimit() ?? totalmem();
  // 0, or a number beyond all memory, means that nothing constrains it.
  return Math.min(constrained > 0 ? constrained : totalmem(), ofPlace, totalmem());
}

/** In units of 10^-9; null = not given, or not an amount. */
function amountOf(
  name: 'cpu' | 'memory',
  value: string | number | undefined,
  problems: string[],
): bigint | null {
  if (value === undefined) return null;
  const quantity = parseQuantity(String(value));
  if (quantity !== null && quantity.nano >= 0n) return quantity.nano;
  const example = name === 'cpu' ? '"1500m" or 4' : '"512Mi" or "8Gi"';
  problems.push(`${name} ${JSON.stringify(value)}: must be an amount such as ${example}`);
  return null;
}

/** Two workers on one host, or one after the other, are two nodes. */
function defaultName(): string {
  const host = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .replaceAll(/^[.-]+|[.-]+$/g, '');
  const random = randomInt(36 ** 5)
    .toString(36)
    .padStart(5, '0');
  return `${host === '' ? 'worker' : host.slice(0, 200)}-${random}`;
}

/** An address of this host, for status.hostIP. */
export function hostAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of addresses ?? []) {
      if (family === 'IPv4' && !internal) return address;
    }
  }
  return '127.0.0.1';
}
