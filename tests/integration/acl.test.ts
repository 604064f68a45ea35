/** The users of `drover acl`: what they need they may do, and what they must not do Redis refuses. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Drover } from '@drover/sdk';
import {
  aclUsers,
  type AclRole,
  findOrphanKeys,
  inspectInstallation,
  inspectServer,
} from '@drover/store';
import { waitFor } from '@drover/testkit';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';

import { Engine, QUICK } from './support/engine.ts';
import { handlerJob, programJob } from './support/manifests.ts';
import { countCalls } from './support/servers.ts';

const LUA = fileURLToPath(new URL('../../packages/store/lua', import.meta.url));
const BULLMQ = join(dirname(fileURLToPath(import.meta.resolve('bullmq'))), 'scripts');

function rulesOf(role: AclRole): readonly string[] {
  const found = aclUsers('p').find((user) => user.role === role);
  return found?.rules ?? [];
}

function commandsIn(text: string, call: RegExp): string[] {
  return [...text.matchAll(call)].map(([, name = '']) => name.toLowerCase());
}

/** Commands of all scripts in a folder. */
function scriptCommands(folder: string, call: RegExp): Set<string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const texts = names
    .filter((name) => /\.(lua|js)$/.test(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  return new Set(texts.flatMap((text) => commandsIn(text, call)));
}

describe('rights', () => {
  test('every command of our scripts and of those of BullMQ is among them', () => {
    const ours = scriptCommands(LUA, /\bcall\(\s*'(\w+)'/g);
    const theirs = scriptCommands(BULLMQ, /(?:rcall|redis\.call)\(\\?["'](\w+)/g);
    expect(ours.size).toBeGreaterThan(30);
    expect(theirs.size).toBeGreaterThan(40);
    const allowed = new Set(rulesOf('worker'));
    const missing = [...ours, ...theirs].filter((command) => !allowed.has(`+${command}`));
    expect(missing).toEqual([]);
  });

  test('every key of the scripts that a producer runs is among its own', () => {
    const scripts = [
      'addItems',
      'changePod',
      'clearItems',
      'commitItems',
      'createJob',
      'createWorkQueue',
      'deleteJob',
      'deleteWorkQueue',
      'reserveItems',
      'sealWorkQueue',
      'trigger',
      'updateJob',
    ];
    const patterns = rulesOf('producer')
      .filter((rule) => rule.startsWith('~'))
      .map((rule) => new RegExp(`^${rule.slice(1).replaceAll('*', '.*').replaceAll('{', '\\{')}$`));
    const keys = scripts.flatMap((name) =>
      [
        ...readFileSync(join(LUA, `${name}.lua`), 'utf8').matchAll(
          /^ {2}KEYS\[[\d+]+\]\s+\S+\s+(\S+)/gm,
        ),
      ].map(([, pattern = '']) => pattern.replace('<tag>', '{p:0}').replace('{P:', '{p:')),
    );
    expect(keys.length).toBeGreaterThan(60);
    expect(keys.filter((key) => !patterns.some((pattern) => pattern.test(key)))).toEqual([]);
  });
});

/** Also where others are tried on a cluster: one server is looked into here. */
const ONE_SERVER = { topology: 'server' } as const;

test('under its user a controller calls slots back that wait for longer than a resync', async () => {
  const settings = { ...QUICK, resyncMs: 300 };
  await using engine = await Engine.forTest({ hasAcl: true, redis: ONE_SERVER, settings });
  const { drover, records } = engine;
  await Promise.all([engine.controller(), engine.worker({ maxPods: 1 })]);
  await drover.jobs.create(handlerJob('wait', { name: 'first' }));
  await waitFor(() => records.read('first').length === 1);
  await drover.jobs.create(handlerJob('noop', { name: 'second' }));
  await waitFor(async () => ((await countCalls(engine)).get('zmscore') ?? 0) > 0);
  records.go('first');
  await engine.finished('second');
}, 60_000);

/** Jobs of both runtimes with what they need, items, a CronJob, logs: all users together. */
test('under these users Jobs, items, CronJobs, logs and the doctor work, and nothing is refused', async () => {
  await using engine = await Engine.forTest({ hasAcl: true, redis: ONE_SERVER });
  const { drover: server, prefix } = engine;
  const producer = new Drover({ connection: engine.urlOf('producer'), prefix });
  const reader = new Drover({ connection: engine.urlOf('reader'), prefix });
  onTestFinished(async () => {
    await Promise.all([producer.close(), reader.close()]);
  });
  await Promise.all([engine.controller(), engine.worker()]);
  await server.configMaps.create({ metadata: { name: 'words' }, data: { word: 'hello' } });

  const watch = producer.jobs.watch();
  const seen = watch.next();
  const env = [
    { name: 'WORD', valueFrom: { configMapKeyRef: { name: 'words', key: 'word' } } },
    { name: 'FILE', value: '$(DROVER_VOLUME_DATA)/word' },
  ];
  const shape = {
    name: 'program',
    completions: 2,
    pod: { volumes: [{ name: 'data', emptyDir: {} }] },
  };
  await producer.jobs.create(programJob(['sh', '-c', 'echo "$WORD"'], shape, env));
  await producer.jobs.create(handlerJob('take', { name: 'one' }));
  expect((await seen).value).toMatchObject({ type: 'ADDED' });
  await watch.return(undefined);
  await producer.jobs.wait('program', { for: 'complete', timeoutMs: 30_000 });
  const [pod] = await producer.pods.list({ job: 'program' });
  let text = '';
  for await (const line of producer.pods.logs(pod!.metadata.name)) text += line;
  expect(text.trim()).toBe('hello');

  // Some worker is there, but none for this one.
  await producer.jobs.create(handlerJob('nobody-has-it', { name: 'waits' }));
  await expect
    .poll(async () => (await producer.jobs.whyWaiting('waits')).map(({ reason }) => reason))
    .toEqual(['NoWorkerFits']);
  await producer.jobs.delete('waits');

  const queue = producer.workQueue('letters');
  await queue.enqueue([{}, {}, {}]);
  await queue.enqueue({}, { delay: 100 });
  const take = handlerJob('take', { name: 'letters', completions: null, parallelism: 2 });
  await producer.jobs.create({
    ...take,
    metadata: { name: 'letters', annotations: { 'drover.dev/work-queue': 'letters' } },
  });
  await queue.seal();
  await producer.jobs.wait('letters', { for: 'complete', timeoutMs: 30_000 });
  await producer.jobs.suspend('one').catch(() => undefined);
  await producer.jobs.delete('program');

  const template = {
    spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['true'] }] },
  };
  await server.cronJobs.create({
    metadata: { name: 'tick' },
    spec: { schedule: '@every 1s', jobTemplate: { spec: { template } } },
  });
  await expect
    .poll(async () => (await reader.cronJobs.get('tick')).status.lastScheduleTime)
    .toBeDefined();
  expect((await reader.events.list()).length).toBeGreaterThan(0);
  expect((await reader.nodes.list()).length).toBe(1);

  const redis = connect(engine, 'reader');
  await inspectServer(redis);
  await inspectInstallation(redis, prefix);
  await findOrphanKeys(redis, { prefix });
  expect(await engine.refusals()).toEqual([]);
});

describe('Redis refuses', () => {
  const cases: { role: AclRole; what: string; command: (p: string) => string[] }[] = [
    {
      role: 'producer',
      what: 'a Secret',
      command: (p) => ['HGETALL', `{${p}:0}:object:Secret:default:x`],
    },
    {
      role: 'producer',
      what: 'a session',
      command: (p) => ['HSET', `{${p}:0}:session:x`, 'a', '1'],
    },
    {
      role: 'producer',
      what: 'a slot',
      command: (p) => ['BZPOPMIN', `{${p}:q:default.process}:default.process:marker`, '1'],
    },
    { role: 'producer', what: 'a node', command: (p) => ['HDEL', `{${p}:nodes}:objects`, 'x'] },
    { role: 'producer', what: 'a log', command: (p) => ['DEL', `{${p}:log:x:0}`] },
    ...(['controller', 'worker', 'producer', 'reader'] as const).map((role) => ({
      role,
      what: 'tokens',
      command: (p: string) => ['HGETALL', `{${p}:tokens}:records`],
    })),
    ...(['worker', 'producer', 'server', 'reader'] as const).map((role) => ({
      role,
      what: 'the settings',
      command: (p: string) => ['HSET', `{${p}:installation}:settings`, 'shardCount', '2'],
    })),
    {
      role: 'server',
      what: 'a slot',
      command: (p) => ['DEL', `{${p}:q:default.process}:default.process:wait`],
    },
    { role: 'reader', what: 'a change', command: (p) => ['HSET', `{${p}:0}:job:x`, 'a', '1'] },
    {
      role: 'reader',
      what: 'a change by a script',
      command: (p) => ['EVAL', "return redis.call('SET', KEYS[1], '1')", '1', `{${p}:0}:clock`],
    },
    ...(['controller', 'worker', 'producer', 'server', 'reader'] as const).flatMap((role) => [
      { role, what: 'the keys of others', command: () => ['GET', '{other:0}:clock'] },
      { role, what: 'channels of others', command: () => ['SUBSCRIBE', '{other:0}:wake'] },
      { role, what: 'FLUSHALL', command: () => ['FLUSHALL'] },
      { role, what: 'CONFIG SET', command: () => ['CONFIG', 'SET', 'save', ''] },
      { role, what: 'MONITOR', command: () => ['MONITOR'] },
      { role, what: 'ACL', command: () => ['ACL', 'LIST'] },
      { role, what: 'KEYS', command: () => ['KEYS', '*'] },
    ]),
  ];

  test('all but a controller to make an installation, and says who may', async () => {
    const engine = await Engine.forTest({ hasAcl: true, redis: ONE_SERVER });
    await engine.store.redis.flushall();
    await using producer = new Drover({
      connection: engine.urlOf('producer'),
      prefix: engine.prefix,
    });
    await expect(producer.jobs.list()).rejects.toThrow(
      /: there is no installation with prefix \S+ yet.*: start a controller first$/,
    );
    await expect(engine.close()).rejects.toThrow(/settings/);
  });

  test('what a role must not do', async () => {
    const engine = await Engine.forTest({ hasAcl: true, redis: ONE_SERVER });
    const clients = new Map<AclRole, Redis>();
    for (const { role, what, command } of cases) {
      const redis = clients.get(role) ?? connect(engine, role);
      clients.set(role, redis);
      const [name = '', ...args] = command(engine.prefix);
      const answer = await redis.call(name, ...args).then(
        (reply) => JSON.stringify(reply),
        (error: unknown) => (error as Error).message,
      );
      expect(answer, `${role}: ${what}`).toMatch(
        /NOPERM|No permissions|can't (run this command|access at least one)/,
      );
    }
    await expect(engine.close()).rejects.toThrow(/Redis refused: .*-producer key/);
  });
});

function connect(engine: Engine, role: AclRole): Redis {
  const redis = new Redis(engine.urlOf(role), { retryStrategy: () => null });
  redis.on('error', () => undefined);
  onTestFinished(() => redis.disconnect());
  return redis;
}
