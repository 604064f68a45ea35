import type { Drover } from '@drover/sdk/client';
import { createWorker, type DroverWorker, type SandboxOptions } from '@drover/worker';
import type { Logger } from 'pino';

import { requireEngine, type EngineAddress } from '../engine/address.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { tellSources } from '../handlerSources.ts';
import { handlerUrls, loadHandlers } from '../handlersFile.ts';
import { LAUNCHER } from '../launcher.ts';
import { createLogger } from '../logger.ts';
import { serveMetrics } from '../metrics/serve.ts';
import type { SecretKeyOptions, ServiceOptions } from '../options.ts';
import { keepHealthFile, makeService, runService } from '../services.ts';
import { onRetireOrder, receiveStartOrder, sendNote } from '../supervision.ts';
import { checkRedis } from './controller.ts';

/** Options of what a worker runs; `drover dev` has them too. */
export interface WorkerShape {
  handlers?: string[];
  maxPods?: number;
  cpu?: string;
  memory?: string;
  threads?: number;
  /** Milliseconds. */
  crashLoopBase?: number;
  /** Milliseconds. */
  crashLoopCap?: number;
  runtime?: string[];
  runAs?: string;
  sandbox?: 'bwrap';
  sandboxPath?: string[];
}

/** Options of `drover worker`. */
export interface WorkerCommandOptions extends ServiceOptions, SecretKeyOptions, WorkerShape {
  pool: string;
  name?: string;
  /** Started by `drover dev`, which says over the channel where Redis is. */
  supervised?: boolean;
}

/** How long a worker of a `drover dev` that is gone has to end its pods. */
const ORPHAN_EXIT_MS = 500;

/** Runs a worker until a signal. */
export async function workerCommand(options: WorkerCommandOptions): Promise<number> {
  const logger = createLogger({ level: options.logLevel, name: 'worker' });
  const { handlers: files = [] } = options;
  if (options.supervised === true) {
    tellSources(handlerUrls(files), (path) => sendNote({ type: 'source', path }));
  }
  // Before Redis: a broken module is told at once.
  const handlers = await loadHandlers(files);
  const runtimes = runtimesOf(options);
  const address = await findAddress(options);
  if (address === null) return EXIT.ok;
  await checkRedis(address.url, address.prefix);
  if (runtimes.includes('process')) warnOfPassword(logger);
  const worker = makeService(() =>
    createWorker({
      connection: address.url,
      pool: options.pool,
      runtimes,
      handlers,
      logger,
      prefix: address.prefix,
      secretKeyFile: options.secretKeyFile ?? address.secretKeyFile,
      name: options.name,
      maxPods: options.maxPods,
      cpu: options.cpu,
      memory: options.memory,
      threads: options.threads,
      crashLoop: crashLoopOf(options),
      launcher: LAUNCHER,
      runAs: options.runAs,
      sandbox: sandboxOf(options),
    }),
  );
  const release = options.supervised === true ? supervise(worker, logger) : () => undefined;
  const endHealth = await keepHealthFile(options.healthFile, address, (drover) =>
    describeNode(drover, worker.name),
  );
  const endMetrics = await serveMetrics(
    // Those of `drover dev` are many, and would all want the port that its environment names.
    options.supervised === true ? { metricsHost: options.metricsHost } : options,
    address,
    {
      role: 'worker',
      hindrance: () => worker.hindrance,
      registry: async (watched) => {
        const { workerMetrics } = await import('../metrics/workerMetrics.ts');
        return workerMetrics(watched, worker);
      },
    },
    logger,
  );
  try {
    return await runService(worker, logger);
  } finally {
    release();
    await endMetrics();
    await endHealth();
    // The channel would keep this process alive.
    if (process.connected) process.disconnect();
  }
}

/** Says that the engine knows this worker and gives it pods; throws what is wrong otherwise. */
async function describeNode(drover: Drover, name: string): Promise<string> {
  const { status } = await drover.nodes.get(name);
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return `worker ${name} takes pods`;
  throw new Error(`worker ${name} is not ready: ${ready?.message ?? 'nothing is known of it'}`);
}

function sandboxOf({ sandbox: type, sandboxPath: paths }: WorkerShape): SandboxOptions | undefined {
  if (type !== undefined) return { type, paths };
  if (paths === undefined) return undefined;
  throw badInput('--sandbox-path says what programs in a sandbox see: add --sandbox bwrap');
}

function crashLoopOf({ crashLoopBase, crashLoopCap }: WorkerShape): {
  baseMs?: number;
  capMs?: number;
} {
  return {
    ...(crashLoopBase === undefined ? {} : { baseMs: crashLoopBase }),
    ...(crashLoopCap === undefined ? {} : { capMs: crashLoopCap }),
  };
}

/** What the worker runs: processes, and handlers when there are some, unless it is said. */
export function runtimesOf({ runtime, handlers = [] }: WorkerShape): ('process' | 'handler')[] {
  if (runtime === undefined) return handlers.length > 0 ? ['process', 'handler'] : ['process'];
  return runtime.map((name) => {
    if (name === 'process' || name === 'handler') return name;
    throw badInput(`--runtime ${name}: process or handler is expected`);
  });
}

async function findAddress(
  options: WorkerCommandOptions,
): Promise<Pick<EngineAddress, 'url' | 'prefix' | 'secretKeyFile'> | null> {
  if (options.supervised !== true) return await requireEngine(options);
  const order = await receiveStartOrder();
  return order === null ? null : { url: order.redisUrl, prefix: order.prefix };
}

/**
 * A worker of `drover dev` ends with it, however that ended.
 *
 * @returns Ends it: the worker leaves of its own accord.
 */
function supervise(worker: DroverWorker, logger: Logger): () => void {
  const onDisconnect = (): void => {
    logger.warn('drover dev is gone: stopping');
    void worker.close({ force: true });
    // Its Redis is gone with it: there is nobody to say goodbye to.
    setTimeout(() => process.exit(), ORPHAN_EXIT_MS);
  };
  process.once('disconnect', onDisconnect);
  // A failed start is told by run().
  worker.ready().then(
    () => sendNote({ type: 'ready' }),
    () => undefined,
  );
  onRetireOrder(() => void worker.close({ waitForPods: true }));
  return () => process.off('disconnect', onDisconnect);
}

function warnOfPassword(logger: Logger): void {
  const url = process.env['DROVER_REDIS_URL'] ?? '';
  // A user alone is no secret.
  if (!/:\/\/[^/:@]*:[^/]+@/.test(url)) return;
  logger.warn(
    'the password of Redis is in the environment of this worker, where programs that it runs can read it: use --redis-file',
  );
}
