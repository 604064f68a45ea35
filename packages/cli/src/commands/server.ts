import { join, resolve } from 'node:path';

import { requireEngine } from '../engine/address.ts';
import { startApiServer } from '../engine/apiServer.ts';
import { stateDir } from '../engine/context.ts';
import { createLogger } from '../logger.ts';
import { serveMetrics } from '../metrics/serve.ts';
import type { ServiceOptions } from '../options.ts';
import { keepHealthFile, runService } from '../services.ts';

/** Options of `drover server`. */
export interface ServerCommandOptions extends ServiceOptions {
  host: string;
  port: number;
  dataDir?: string;
  kubeconfig?: string;
  serverName?: string[];
  tlsCert?: string;
  tlsKey?: string;
  tokenFile?: string;
  tokens?: string;
  rateLimit?: number;
  auditLog?: string;
  secretKeyFile?: string;
}

/** Runs an API server until a signal. */
export async function serverCommand(options: ServerCommandOptions): Promise<number> {
  const { url: connection, prefix, secretKeyFile } = await requireEngine(options);
  const logger = createLogger({ level: options.logLevel, name: 'server' });
  const dir = resolve(options.dataDir ?? join(stateDir(), 'server'));
  const kubeconfig = resolve(options.kubeconfig ?? join(dir, 'kubeconfig'));
  const { server, url } = await startApiServer({
    connection,
    prefix,
    secretKeyFile: options.secretKeyFile ?? secretKeyFile,
    dir,
    host: options.host,
    port: options.port,
    kubeconfig,
    names: options.serverName ?? [],
    tlsCert: options.tlsCert,
    tlsKey: options.tlsKey,
    tokenFile: options.tokenFile,
    tokensFile: options.tokens,
    rateLimit: options.rateLimit,
    auditLog: options.auditLog,
    logger,
  });
  const endHealth = await keepHealthFile(
    options.healthFile,
    { url: connection, prefix },
    async (drover) => {
      await drover.jobs.list({ limit: 1 });
      return 'Redis answers';
    },
  );
  process.stdout.write(
    `the API server is ready: ${url}\n  kubectl --kubeconfig ${kubeconfig} get jobs\n`,
  );
  const endMetrics = await serveMetrics(
    options,
    { url: connection, prefix },
    {
      role: 'server',
      hindrance: () => server.hindrance,
      registry: async (watched) => {
        const { serverMetrics } = await import('../metrics/serverMetrics.ts');
        return serverMetrics(watched, server.figures);
      },
    },
    logger,
  );
  try {
    return await runService(server, logger);
  } finally {
    await endMetrics();
    await endHealth();
  }
}
