import { Backend } from '@drover/sdk/internals';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';

import type { EngineAddress } from '../engine/address.ts';
import type { ServiceOptions } from '../options.ts';
import { MetricsEndpoint } from './endpoint.ts';
import { RedisLooks } from './redisLook.ts';
import { unreadiness, type WatchedProcess } from './watched.ts';

/** What is served of a process. */
export interface ServedProcess {
  readonly role: WatchedProcess['role'];
  readonly hindrance: () => string | null;
  /** Makes its metrics: only what is wanted is loaded. */
  readonly registry: (watched: Omit<WatchedProcess, 'role'>) => Promise<Registry>;
}

/**
 * Serves metrics and readiness of a process, if `--metrics-port` says where.
 *
 * @returns Ends it.
 * @throws CliError when it can not listen there.
 */
export async function serveMetrics(
  { metricsPort: port, metricsHost: host }: Pick<ServiceOptions, 'metricsPort' | 'metricsHost'>,
  { url, prefix }: Pick<EngineAddress, 'url' | 'prefix'>,
  { role, hindrance, registry }: ServedProcess,
  logger: Logger,
): Promise<() => Promise<void>> {
  if (port === undefined) return async () => undefined;
  const backend = new Backend({ connection: url, ...(prefix === undefined ? {} : { prefix }) });
  const looks = RedisLooks.over(backend, { gauges: role === 'controller' });
  const watched = { hindrance, look: () => looks.look() };
  const endpoint = await MetricsEndpoint.start({
    host,
    port,
    registry: await registry(watched),
    unreadiness: () => unreadiness(watched),
  });
  logger.info({ address: endpoint.address }, 'metrics are served');
  return async () => {
    await endpoint.close();
    await backend.close();
  };
}
