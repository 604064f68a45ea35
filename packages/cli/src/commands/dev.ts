import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

import type { Logger } from 'pino';

import type { ListeningServer } from '../engine/apiServer.ts';
import {
  contextPath,
  readDevContext,
  removeDevContext,
  stateDir,
  writeDevContext,
} from '../engine/context.ts';
import { lockDataDir, readPassword, secretKeyFile } from '../engine/dataDir.ts';
import { HandlerReload } from '../engine/handlerReload.ts';
import { freePort, startRedisServer, type RedisServer } from '../engine/redisServer.ts';
import { WorkerProcess, type WorkerProcessOptions } from '../engine/workerProcess.ts';
import { CliError, badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { onInterrupt } from '../interrupt.ts';
import { createLogger } from '../logger.ts';
import type { LogLevel } from '../logLevels.ts';
import { makeService } from '../services.ts';
import { coloursFor } from '../text/colours.ts';
import { controllerSettings, type ControllerSettings } from './controller.ts';
import { runtimesOf, type WorkerShape } from './worker.ts';

/** Options of `drover dev`. */
export interface DevOptions extends ControllerSettings, WorkerShape {
  dataDir?: string;
  /** Of the API server; 0 = any that is free. */
  port?: number;
  kubeconfig?: string;
  redisPort?: number;
  workers: number;
  /** Changed handlers are loaded. */
  reload: boolean;
  logLevel: LogLevel;
}

/** Tried first, so that the URL of an installation stays the same. */
const PREFERRED_REDIS_PORT = 6390;
/** The port of API servers of Kubernetes. */
const PREFERRED_API_PORT = 6443;
const PREFIX = 'drover';
const MAX_PORT_ATTEMPTS = 3;

/** Runs an engine on this machine until a signal: Redis, controller, workers. */
export async function devCommand(options: DevOptions): Promise<number> {
  // What is wrong with the arguments is told before anything is started.
  runtimesOf(options);
  await refuseSecond();
  const dataDir = resolve(options.dataDir ?? join(stateDir(), 'dev'));
  const unlock = await lockDataDir(dataDir);
  try {
    return await serve(dataDir, options);
  } finally {
    await unlock();
  }
}

async function refuseSecond(): Promise<void> {
  const running = await readDevContext();
  if (running === null) return;
  throw badInput(`\`drover dev\` runs already (pid ${running.pid}, data in ${running.dataDir})`, [
    '  use it, or end it first; XDG_STATE_HOME keeps several apart',
  ]);
}

async function serve(dataDir: string, options: DevOptions): Promise<number> {
  const logger = createLogger({ level: options.logLevel, name: 'dev' });
  const [password, keyFile] = await Promise.all([readPassword(dataDir), secretKeyFile(dataDir)]);
  // All of them start side by side: loading code takes longer than anything else.
  const loading = Promise.all([import('@drover/controller'), import('../engine/apiServer.ts')]);
  const redisStart = startRedis(dataDir, password, options.redisPort);
  const start = redisStart.then(({ redisUrl }) => ({ redisUrl, prefix: PREFIX }));
  const workers: WorkerProcess[] = [];
  const reload = makeReload(workers, options, logger);
  workers.push(...startWorkers(start, keyFile, options, logger, (path) => reload?.addSource(path)));
  const [[{ createController }, { startApiServer }], { redis, redisUrl, port }] = await Promise.all(
    [
      loading,
      redisStart.catch(async (error: unknown) => {
        for (const worker of workers) worker.kill();
        await reload?.close();
        throw error;
      }),
    ],
  );
  const controller = makeService(() =>
    createController({ connection: redisUrl, logger, ...controllerSettings(options) }),
  );
  const kubeconfig = resolve(options.kubeconfig ?? join(dataDir, 'kubeconfig'));
  const startApi = async (): Promise<ListeningServer> =>
    await startApiServer({
      connection: redisUrl,
      secretKeyFile: keyFile,
      dir: join(dataDir, 'server'),
      host: '127.0.0.1',
      port: options.port ?? PREFERRED_API_PORT,
      orAnyPort: options.port === undefined,
      kubeconfig,
      logger,
    });
  const apiStart = startApi();
  const stopped = untilStopped(redis.ended, controller.run(), workers, logger);
  try {
    const ready = Promise.all([apiStart, ...workers.map((worker) => worker.ready)]);
    await Promise.race([ready, stopped]);
    const startedAt = new Date().toISOString();
    await writeDevContext({
      pid: process.pid,
      redisUrl,
      prefix: PREFIX,
      dataDir,
      secretKeyFile: keyFile,
      startedAt,
    });
    reload?.start();
    announce({ redisUrl, port, dataDir, workers: options.workers, kubeconfig });
    return await stopped;
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(messageOf(error), EXIT.failed);
  } finally {
    await removeDevContext(process.pid);
    await reload?.close();
    await apiStart.then(({ server }) => server.close()).catch(() => undefined);
    await Promise.all(workers.map((worker) => worker.stop()));
    await controller.close();
    await redis.stop();
    logger.info('stopped');
  }
}

/** Starts Redis on the port that is wanted; if none is, on the usual one or another that is free. */
async function startRedis(
  dataDir: string,
  password: string,
  wanted: number | undefined,
): Promise<{ redis: RedisServer; redisUrl: string; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const preferred = wanted === undefined && attempt === 1 ? PREFERRED_REDIS_PORT : 0;
    const port = wanted || (await freePort(preferred));
    const options = { dataDir, persistent: true, port, socketPath: null, password };
    try {
      const redis = await startRedisServer(options);
      return { redis, redisUrl: `redis://:${password}@127.0.0.1:${port}`, port };
    } catch (error) {
      // Somebody else may have taken the port since it was found free.
      if (port === wanted || attempt === MAX_PORT_ATTEMPTS) throw error;
    }
  }
}

function makeReload(
  workers: readonly WorkerProcess[],
  options: DevOptions,
  logger: Logger,
): HandlerReload | null {
  if (!options.reload || options.handlers === undefined) return null;
  return new HandlerReload(() => workers, logger);
}

function startWorkers(
  start: WorkerProcessOptions['start'],
  keyFile: string,
  options: DevOptions,
  logger: Logger,
  onSource: (path: string) => void,
): WorkerProcess[] {
  const args = ['--log-level', options.logLevel, '--secret-key-file', keyFile];
  for (const file of options.handlers ?? []) args.push('--handlers', resolve(file));
  for (const runtime of options.runtime ?? []) args.push('--runtime', runtime);
  if (options.maxPods !== undefined) args.push('--max-pods', String(options.maxPods));
  if (options.cpu !== undefined) args.push('--cpu', options.cpu);
  if (options.memory !== undefined) args.push('--memory', options.memory);
  if (options.threads !== undefined) args.push('--threads', String(options.threads));
  const { crashLoopBase, crashLoopCap } = options;
  if (crashLoopBase !== undefined) args.push('--crash-loop-base', `${crashLoopBase}ms`);
  if (crashLoopCap !== undefined) args.push('--crash-loop-cap', `${crashLoopCap}ms`);
  return Array.from({ length: options.workers }, (_, index) => {
    return new WorkerProcess({ name: `dev-${index + 1}`, args, start, onSource, logger });
  });
}

/** Resolves with the exit code after a signal; a part that fails on its own rejects it. */
async function untilStopped(
  redisEnded: Promise<void>,
  controlling: Promise<void>,
  workers: readonly WorkerProcess[],
  logger: Logger,
): Promise<number> {
  let signals = 0;
  const interrupted = new Promise<number>((resolveCode) => {
    onInterrupt((signal) => {
      signals += 1;
      logger.info({ signal }, signals === 1 ? 'stopping' : 'stopping at once');
      if (signals > 1) for (const worker of workers) worker.kill();
      resolveCode(EXIT.ok);
    });
  });
  const broken = redisEnded.then(() => {
    if (signals > 0) return EXIT.ok;
    throw new CliError('redis-server ended by itself', EXIT.noConnection);
  });
  const failed = controlling.then(
    () => interrupted,
    (error: unknown) => {
      throw new CliError(messageOf(error), EXIT.failed);
    },
  );
  return await Promise.race([interrupted, broken, failed]);
}

/** What a person has to know of an engine that runs. */
interface Announcement {
  readonly redisUrl: string;
  /** Of its Redis. */
  readonly port: number;
  readonly dataDir: string;
  readonly workers: number;
  readonly kubeconfig: string;
}

function announce({ redisUrl, port, dataDir, workers, kubeconfig }: Announcement): void {
  const colours = coloursFor(process.stdout);
  const prefix = `${homedir()}/`;
  const home = (path: string) =>
    path.startsWith(prefix) ? `~/${path.slice(prefix.length)}` : path;
  // The password is for the person at the terminal, not for a log file.
  const url = process.stdout.isTTY ? `=${redisUrl}` : ` as in ${home(contextPath())}`;
  const count = `${workers} ${workers === 1 ? 'worker' : 'workers'}`;
  process.stdout.write(
    [
      `${colours.green('drover dev is ready')}: Redis on 127.0.0.1:${port}, a controller, ${count}, an API server; data in ${home(dataDir)}`,
      `  in another terminal: ${colours.bold('drover run -- echo hello')}   or   drover get jobs`,
      `  with kubectl:        kubectl --kubeconfig ${home(kubeconfig)} get jobs`,
      `  in programs:         DROVER_REDIS_URL${url}`,
      '  Ctrl-C ends it; its Jobs stay and go on with the next start',
      '',
    ].join('\n'),
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
