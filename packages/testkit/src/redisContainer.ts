import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { Redis } from 'ioredis';
import { Clients, type StartRedisOptions, type TestRedis } from './testRedis.ts';

/** The image of Redis; another by the variable that docker-compose.yml knows, too. */
const IMAGE = process.env['DROVER_REDIS_IMAGE'] || 'redis:8';

/** A Redis in a container, for machines with a container engine and no redis-server. */
export async function startRedisContainer(options: StartRedisOptions): Promise<TestRedis> {
  if (options.unixSocket === true) {
    throw new Error('a unix socket of a container can not be reached: install redis-server');
  }
  const settings = {
    save: '',
    // Some images are closed to other hosts unless there is a password.
    'protected-mode': 'no',
    appendonly: options.appendOnly === true ? 'yes' : 'no',
    appendfsync: 'always',
    ...options.config,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  let container: StartedTestContainer | null = await new GenericContainer(IMAGE)
    .withExposedPorts(6379)
    .withCommand(['redis-server', ...flags])
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
  const host = container.getHost();
  const port = container.getMappedPort(6379);
  const clients = new Clients(() => new Redis({ host, port, maxRetriesPerRequest: null }));
  const refuse = async (): Promise<never> => {
    throw new Error('a container changes its port when it restarts: install redis-server');
  };
  return {
    url: `redis://${host}:${port}`,
    port,
    socketPath: null,
    pid: null,
    connect: () => clients.connect(),
    kill: refuse,
    restart: refuse,
    stop: async () => {
      clients.close();
      await container?.stop();
      container = null;
    },
  };
}
