import type { Backend } from '@drover/sdk/internals';
import type { FastifyInstance } from 'fastify';

/** Paths that tell nothing of anybody's objects: health checks need no token. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz', '/version']);

/** Whether a path is open to everybody. */
export function isOpenPath(url: string): boolean {
  return OPEN_PATHS.has(url.split('?')[0]?.replace(/\/$/, '') ?? '');
}

/** The version of Kubernetes whose API this is, as clients compare theirs with it. */
const MINOR = 35;

/** What `kubectl version` shows of the server. */
export function versionInfo(droverVersion: string): object {
  return {
    major: '1',
    minor: String(MINOR),
    // What follows the plus sign has no part in comparisons.
    gitVersion: `v1.${MINOR}.0+drover.${droverVersion}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}

/** Adds the paths that say how the server is, and what. */
export function addHealth(server: FastifyInstance, backend: Backend, version: string): void {
  server.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok'));
  server.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok'));
  server.get('/readyz', async (_request, reply) => {
    await backend.run(({ redis }) => redis.ping());
    return reply.type('text/plain').send('ok');
  });
  server.get('/version', async (_request, reply) => reply.send(versionInfo(version)));
}
