import { Store } from '@drover/store';
import { startRedis, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Home } from './drover.ts';

/** Key of the settings. */
const SETTINGS = '{drover:installation}:settings';

let home: Home;
let redis: TestRedis;
let store: Store;

beforeAll(async () => {
  home = await Home.make();
  redis = await startRedis();
  store = await Store.open({ redis: redis.connect() });
});
afterAll(async () => {
  await redis.stop();
  await home.remove();
});

const run = (...args: string[]) => home.drover([...args, '--redis', redis.url]);
const layout = () => store.redis.hget(SETTINGS, 'layoutVersion');

test('drover migrate says what it would do, refuses while somebody runs, does it, and has nothing to do then', async () => {
  await store.redis.hset(SETTINGS, 'layoutVersion', '2');
  const refused = await run('get', 'jobs');
  expect(refused.code).toBe(3);
  expect(refused.stderr).toMatch(/layout version 2, .*`drover migrate`/);
  expect((await run('doctor', '--quick')).stdout).toMatch(/-> stop its controllers/);

  const planned = await run('migrate', '--dry-run');
  expect(planned).toMatchObject({ code: 0, stderr: '' });
  expect(planned.stdout).toMatch(
    /^layout version 2 to 3 of the keys under prefix drover; Jobs: 0$/m,
  );
  expect(planned.stdout).toMatch(/^other connections to this Redis: 127\.0\.0\.1:\d+ \(default\)/m);
  expect(planned.stdout).toMatch(/^nothing was changed/m);

  const subscriber = store.openSubscriber();
  await subscriber.subscribe(store.shards[0]!.keys.wakeChannel, () => undefined);
  const inUse = await run('migrate');
  expect(inUse.code).toBe(1);
  expect(inUse.stderr).toMatch(/in use, nothing was changed.*\ncontrollers: 1$/m);
  expect(await layout()).toBe('2');
  subscriber.close();

  const done = await run('migrate');
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toMatch(/^the keys have layout version 3 now$/m);
  expect(await layout()).toBe('3');
  const again = await run('migrate');
  expect(again).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/nothing is to be done$/m),
  });
});

test('what a newer version wrote is not touched', async () => {
  await store.redis.hset(SETTINGS, 'layoutVersion', '4');
  const refused = await run('migrate');
  expect(refused.code).toBe(3);
  expect(refused.stderr).toMatch(/a newer version wrote them: use that version here too/);
});
