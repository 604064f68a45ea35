import { startRedis, type TestRedis } from '@drover/testkit';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { addPassword } from '../../src/engine/passwordFile.ts';
import { Home } from '../drover.ts';

/** Every character that means something in a URL, a configuration file or a shell. */
const PASSWORD = 'a%41:@/?#&=+ "quoted" \\ $x ü';

let home: Home;
let tcp: TestRedis;
let socket: TestRedis;
const clients: Redis[] = [];

beforeAll(async () => {
  home = await Home.make();
  tcp = await startRedis({ config: { requirepass: PASSWORD } });
  socket = await startRedis({ unixSocket: true, config: { requirepass: PASSWORD } });
});

afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});

afterAll(async () => {
  await tcp.stop();
  await socket.stop();
  await home.remove();
});

/** Whether a Redis lets in who comes with this address. */
async function ping(url: string): Promise<string> {
  const client = new Redis(url, { retryStrategy: () => null });
  client.on('error', () => undefined);
  clients.push(client);
  return await client.ping();
}

describe('the password of a file opens Redis, whatever is in it', () => {
  const cases: { name: string; url: () => string }[] = [
    { name: 'a URL', url: () => tcp.url },
    { name: 'a URL with a database', url: () => `${tcp.url}/3` },
    { name: 'a URL with a user', url: () => tcp.url.replace('//', '//default@') },
    { name: 'the path of a socket', url: () => socket.socketPath ?? '' },
    { name: 'the URL of a socket', url: () => socket.url },
  ];
  test.each(cases)('$name', async ({ url }) => {
    const path = await home.write('password', `${PASSWORD}\n`);
    const address = await addPassword(url(), { path, saidAs: path });
    expect(await ping(address)).toBe('PONG');
  });
});

test('the command takes it from the environment', async () => {
  const path = await home.write('password', PASSWORD);
  const ended = await home.drover(['get', 'jobs'], {
    env: { DROVER_REDIS_URL: tcp.url, DROVER_REDIS_PASSWORD_FILE: path },
  });
  expect(ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/^No /) as string });
});
