import {
  Drover,
  type ConfigMapsClient,
  type CronJobsClient,
  type EventsClient,
  type JobsClient,
  type NamespaceOptions,
  type NodesClient,
  type ObjectEvent,
  type PodsClient,
  type PriorityClassesClient,
  type ResourceQuotasClient,
  type SecretsClient,
  type SecretSummary,
  type WorkQueueHandle,
  type WorkQueuesClient,
} from '@drover/sdk/client';

import { CLIENT_ENV, parseSelector } from '@drover/shared';

import { requireEngine, type EngineAddress } from './engine/address.ts';
import type { ObjectOptions, SecretKeyOptions } from './options.ts';
import type { ServerOptions } from './remote/address.ts';

/** What can be said of a Secret without its data. */
export interface SecretFacts extends Omit<SecretSummary, 'keyId'> {
  /** Name of the key that it is encrypted with; null: the API server keeps that to itself. */
  readonly keyId: string | null;
}

type Kept = 'get' | 'list' | 'watch' | 'apply' | 'delete';

/** What commands about objects need of an engine: the SDK over Redis has it, and an API server. */
export interface Client {
  /** Namespace of names that do not say theirs. */
  readonly namespace: string;
  readonly jobs: Pick<
    JobsClient,
    | 'get'
    | 'list'
    | 'watch'
    | 'apply'
    | 'delete'
    | 'suspend'
    | 'resume'
    | 'scale'
    | 'whyWaiting'
    | 'wait'
  >;
  readonly cronJobs: Pick<CronJobsClient, Kept | 'suspend' | 'resume' | 'trigger' | 'history'>;
  readonly pods: Pick<PodsClient, 'get' | 'list' | 'iterate' | 'watch' | 'apply' | 'delete'> & {
    logLines(
      ...args: Parameters<PodsClient['logLines']>
    ): AsyncGenerator<{ readonly bytes: Buffer; readonly droppedBytes: number }>;
  };
  readonly nodes: Pick<NodesClient, 'get' | 'list'>;
  readonly configMaps: Pick<ConfigMapsClient, Kept>;
  readonly resourceQuotas: Pick<ResourceQuotasClient, Kept>;
  readonly priorityClasses: Pick<PriorityClassesClient, Kept>;
  readonly secrets: Pick<SecretsClient, 'get' | 'list' | 'apply' | 'delete'> & {
    summary(...args: Parameters<SecretsClient['summary']>): Promise<SecretFacts>;
    summaries(...args: Parameters<SecretsClient['summaries']>): Promise<SecretFacts[]>;
    watchSummaries(
      ...args: Parameters<SecretsClient['watchSummaries']>
    ): AsyncGenerator<ObjectEvent<SecretFacts>>;
  };
  readonly events: Pick<EventsClient, 'list' | 'watch'>;
  readonly workQueues: Pick<WorkQueuesClient, 'list'>;
  workQueue(name: string, options: NamespaceOptions): Pick<WorkQueueHandle, 'get' | 'stats'>;
  close(): Promise<void>;
}

/** Opens a client for the engine or the API server that the options name, runs the command, closes it. */
export async function withClient<T>(
  options: ObjectOptions & SecretKeyOptions & ServerOptions,
  command: (client: Client) => Promise<T>,
): Promise<T> {
  const { findServer } = await import('./remote/address.ts');
  const server = await findServer(options);
  if (server === null) return await withDrover(options, command);
  const { RemoteClient } = await import('./remote/client.ts');
  const client = new RemoteClient(server, options.namespace);
  try {
    return await command(client);
  } finally {
    await client.close();
  }
}

/** Opens a client for the engine that the options name, over Redis, runs the command, closes it. */
export async function withDrover<T>(
  options: ObjectOptions & SecretKeyOptions,
  command: (drover: Drover) => Promise<T>,
): Promise<T> {
  const { url, prefix, secretKeyFile: ofDev } = await addressOf(options);
  // A `drover dev` has a key file of its own, whatever the environment says of others.
  const secretKeyFile = options.secretKeyFile ?? ofDev;
  // No `using`: Node 22 runs this file as it is, and does not know it.
  const drover = new Drover({
    ...(url === undefined ? {} : { connection: url }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(secretKeyFile === undefined ? {} : { secretKeyFile }),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  });
  try {
    return await command(drover);
  } finally {
    await drover.close();
  }
}

/** Without an address the client finds by itself that it runs in a pod, and to whom belongs what it creates. */
async function addressOf(
  options: ObjectOptions,
): Promise<Partial<Pick<EngineAddress, 'url' | 'prefix' | 'secretKeyFile'>>> {
  const isNamed = [options.redis, options.redisFile, process.env['DROVER_REDIS_URL']].some(
    (address) => address !== undefined && address !== '',
  );
  const isPodClient = (process.env[CLIENT_ENV.file] ?? '') !== '';
  return isPodClient && !isNamed ? { prefix: options.prefix } : await requireEngine(options);
}

/** Refuses a wrong selector before Redis is asked for. */
export function checkSelector(selector: string | undefined): void {
  if (selector !== undefined) parseSelector(selector);
}
