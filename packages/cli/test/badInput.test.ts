import { startRedis, type TestRedis } from '@drover/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Home, manifest } from './drover.ts';

let home: Home;
let redis: TestRedis;

beforeAll(async () => {
  home = await Home.make();
  redis = await startRedis({ config: { requirepass: 'right' } });
});

afterAll(async () => {
  await redis.stop();
  await home.remove();
});

/** Every mistake of a user is told in lines that begin with what is wrong, without a stack trace. */
function expectTold(
  ended: { code: number | null; stderr: string },
  code: number,
  text: RegExp,
): void {
  expect(ended.stderr).toMatch(text);
  expect(ended.stderr).not.toMatch(/^\s+at /m);
  expect(ended.code).toBe(code);
}

describe('manifests', () => {
  const template = `
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: main
          command: ['true']
`;
  const job = (spec: string) =>
    `apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: x\nspec:\n${spec}`;
  const cases: { name: string; text: string; want: RegExp }[] = [
    { name: 'broken YAML', text: 'a: [1, 2\nb: 3\n', want: /^error: stdin:2:1: Flow sequence/ },
    {
      name: 'an unknown field',
      text: job(`  parallelizm: 2${template}`),
      want: /^error: stdin:6:3: spec\.parallelizm: Unknown field/,
    },
    {
      name: 'a wrong type',
      text: job(`  completions: many${template}`),
      want: /^error: stdin:6:3: spec\.completions: Invalid value: "many"/,
    },
    {
      name: 'no template',
      text: job('  completions: 1\n'),
      want: /^error: stdin:5:1: spec\.template\.spec\.restartPolicy: Required/,
    },
    {
      name: 'restartPolicy missing',
      text: job(template.replace('      restartPolicy: Never\n', '')),
      want: /spec\.template\.spec\.restartPolicy: Required value/,
    },
    {
      name: 'restartPolicy Always',
      text: job(template.replace('Never', 'Always')),
      want: /^error: stdin:9:7: spec\.template\.spec\.restartPolicy: Required value/,
    },
    {
      name: 'no command',
      text: job(template.replace("          command: ['true']\n", '')),
      want: /spec\.template\.spec\.containers\[0\]\.command: Required value/,
    },
    {
      name: 'negative parallelism',
      text: job(`  parallelism: -1${template}`),
      want: /^error: stdin:6:3: spec\.parallelism: Invalid value: -1: must be greater than or equal to 0/,
    },
    {
      name: 'Indexed with parallelism and no completions',
      text: job(`  parallelism: 2\n  completionMode: Indexed${template}`),
      want: /spec\.completions: Required value/,
    },
    {
      name: 'another kind',
      text: 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n',
      want: /^error: stdin:2:1: kind: Unsupported value: "Deployment": supported values: "Job", "CronJob", "Pod", "ConfigMap", "ResourceQuota", "PriorityClass", "Secret"\n$/,
    },
    {
      // Every object of JavaScript has it; it is no kind all the same, and nothing is said of its version.
      name: 'a kind that objects have',
      text: 'apiVersion: apps/v1\nkind: constructor\n',
      want: /^error: stdin:2:1: kind: Unsupported value: "constructor": supported values: "Job", .*\n$/,
    },
    {
      name: 'no kind',
      text: 'metadata: {name: x}\n',
      want: /^error: .*\nstdin:1:1: kind: Required value\n$/,
    },
    { name: 'nothing at all', text: '', want: /^error: no objects in -/ },
  ];

  test.each(cases)('$name', async ({ text, want }) => {
    // Told before Redis is asked for: there is none here.
    const ended = await home.drover(['apply', '-f', '-', '--redis', 'redis://127.0.0.1:1'], {
      input: text,
    });
    expectTold(ended, 2, want);
  });

  test('problems of all documents are told at once', async () => {
    const input = `${job(`  parallelism: -1${template}`)}\n---\n${job('  completions: 1\n')}`;
    const ended = await home.drover(['apply', '-f', '-'], { input });
    expectTold(
      ended,
      2,
      /stdin:6:3: spec\.parallelism: [\s\S]*stdin:\d+:1: spec\.template\.spec\.containers: Required/,
    );
  });

  test('a name that occurs twice', async () => {
    const input = `${manifest('same', ['true'])}\n---\n${manifest('same', ['true'])}`;
    const ended = await home.drover(['apply', '-f', '-'], { input });
    expectTold(ended, 2, /^error: stdin:3:\d+: "same" is also defined at stdin:1:/);
  });

  test('a file that does not exist', async () => {
    expectTold(
      await home.droverAlone(['apply', '-f', 'nowhere.yaml']),
      2,
      /^error: nowhere\.yaml: no such file/,
    );
  });
});

describe('arguments', () => {
  const cases: { args: string[]; want: RegExp }[] = [
    { args: ['frobnicate'], want: /unknown command 'frobnicate'/ },
    { args: ['gte'], want: /Did you mean get\?/ },
    { args: ['get', 'jobs', '--frob'], want: /unknown option '--frob'/ },
    {
      args: ['get', 'deployments'],
      want: /^error: there are no "deployments": jobs, cronjobs, pods, nodes, configmaps, secrets, resourcequotas or priorityclasses/,
    },
    {
      args: ['get', 'events'],
      want: /^error: there are no "events": jobs, .*\n {2}`drover events` lists them\n/,
    },
    { args: ['get', 'jobs', '-l', 'a in b', '--redis', 'URL'], want: /^error: .*selector/ },
    { args: ['get', 'jobs', '-o', 'xml'], want: /argument 'xml' is invalid/ },
    { args: ['run'], want: /A program is missing\n\(`drover run --help` shows how\)/ },
    {
      args: ['run', '--parallelism', '-1', '--', 'true'],
      want: /--parallelism -1: a whole number of 1 or more/,
    },
    {
      args: ['run', '--timeout', 'soon', '--', 'true'],
      want: /--timeout soon: a duration such as 30s/,
    },
    {
      args: ['run', '--env', 'NOVALUE', '--', 'true'],
      want: /--env NOVALUE: NAME=VALUE is expected/,
    },
    {
      args: ['run', '--name', 'Not Valid', '--', 'true'],
      want: /metadata\.name: Invalid value: "Not Valid"/,
    },
    {
      args: ['wait', 'job/x', '--for', 'rain'],
      want: /--for rain: complete, failed, finished or delete/,
    },
    { args: ['delete', 'pod/a', '--cascade', 'orphan'], want: /--cascade is for jobs/ },
    { args: ['delete', 'job/a', '--cascade', 'upwards'], want: /background, foreground, orphan/ },
    { args: ['delete', 'jobs'], want: /which ones\? write job\/NAME, -l SELECTOR or --all/ },
    { args: ['worker', '--handlers', 'nowhere.ts'], want: /^error: --handlers nowhere\.ts: / },
    {
      args: ['worker', '--runtime', 'docker'],
      want: /--runtime docker: process or handler is expected/,
    },
    { args: ['dev', '--port', '99999'], want: /--port 99999: a whole number of 0 to 65535/ },
  ];
  test.each(cases)('$args', async ({ args, want }) => {
    expectTold(await home.droverHosted(args), 2, want);
  });

  test('all wrong values are told at once', async () => {
    const ended = await home.droverHosted(['run', '-c', 'x', '-p', 'y', '--', 'true']);
    expectTold(ended, 2, /--completions x: [\s\S]*--parallelism y: /);
  });
});

describe('Redis', () => {
  test('none is named: says how to get one', async () => {
    expectTold(
      await home.droverAlone(['get', 'jobs']),
      3,
      /^error: no engine found\n.*`drover dev`/,
    );
  });

  const cases: { name: string; url: () => string; want: RegExp }[] = [
    {
      name: 'not reachable',
      url: () => 'redis://127.0.0.1:1',
      want: /^error: Redis at 127\.0\.0\.1:1 is not reachable/,
    },
    {
      name: 'a wrong password',
      url: () => `redis://:wrong@127.0.0.1:${redis.port}`,
      want: /refused the login/,
    },
    { name: 'no password', url: () => `redis://127.0.0.1:${redis.port}`, want: /wants a password/ },
    { name: 'no URL', url: () => 'nonsense', want: /"nonsense" is no address of a Redis/ },
  ];
  for (const command of [['get', 'jobs'], ['run', '--', 'true'], ['controller'], ['worker']]) {
    test.each(cases)(`${command[0]}: $name`, async ({ url, want }) => {
      const ended = await home.droverHosted(command, { env: { DROVER_REDIS_URL: url() } });
      expectTold(ended, 3, want);
      expect(ended.stderr).not.toContain('wrong@');
    });
  }

  describe('a password file', () => {
    const files: { name: string; text: string | null; code: number; want: RegExp }[] = [
      { name: 'missing', text: null, code: 2, want: /-file nowhere: no such file\n$/ },
      {
        name: 'empty',
        text: '\n',
        code: 2,
        want: /^error: --redis-password-file \S+: the file is empty, a password is expected\n$/,
      },
      { name: 'of two lines', text: 'a\nb\n', code: 2, want: /the file has several lines/ },
      { name: 'with a wrong password', text: 'no%41:@/\n', code: 3, want: /refused the login/ },
    ];
    test.each(files)('$name', async ({ text, code, want }) => {
      const path = text === null ? 'nowhere' : await home.write('password', text);
      const env = { DROVER_REDIS_URL: `redis://127.0.0.1:${redis.port}` };
      const ended = await home.drover(['get', 'jobs', '--redis-password-file', path], { env });
      expectTold(ended, code, want);
    });

    test('named by the environment, and a directory', async () => {
      const env = {
        DROVER_REDIS_URL: `redis://127.0.0.1:${redis.port}`,
        DROVER_REDIS_PASSWORD_FILE: home.dir,
      };
      expectTold(
        await home.drover(['get', 'jobs'], { env }),
        2,
        /^error: DROVER_REDIS_PASSWORD_FILE=\S+: is a directory/,
      );
    });

    test('beside a URL that has a password, and beside no URL', async () => {
      const path = await home.write('right', 'right');
      const flags = ['get', 'jobs', '--redis-password-file', path];
      const env = { DROVER_REDIS_URL: `redis://:right@127.0.0.1:${redis.port}` };
      expectTold(await home.drover(flags, { env }), 2, /has a password already/);
      expectTold(await home.drover(flags), 2, /says nothing of where Redis is: add --redis URL/);
    });
  });

  test('TLS for an address that has none, twice, in a file that is not there, and for nothing', async () => {
    const plain = { DROVER_REDIS_URL: `redis://127.0.0.1:${redis.port}` };
    const flags = ['get', 'jobs', '--redis-cacert', '/nowhere'];
    expectTold(
      await home.drover(flags, { env: { ...plain, DROVER_REDIS_SERVERNAME: 'db' } }),
      2,
      /^error: --redis-cacert \/nowhere, DROVER_REDIS_SERVERNAME=db: .* begin with rediss:/,
    );
    const url = 'rediss://127.0.0.1:1';
    const twice = { DROVER_REDIS_URL: `${url}?cacert=/etc/ca` };
    expectTold(await home.drover(flags, { env: twice }), 2, /has cacert already, leave one out/);
    const missing = await home.drover(flags, { env: { DROVER_REDIS_URL: url } });
    expectTold(missing, 3, /^error: cacert of the address of Redis: ENOENT.*'\/nowhere'/);
    expectTold(await home.drover(flags), 2, /--redis-cacert \/nowhere says nothing of where Redis/);
  });

  test('an eviction policy that loses data', async () => {
    const admin = new Redis({ port: redis.port, password: 'right' });
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    admin.disconnect();
    const url = await home.write('url', `redis://:right@127.0.0.1:${redis.port}\n`);
    const ended = await home.drover(['get', 'jobs', '--redis-file', url]);
    expectTold(ended, 3, /maxmemory-policy is allkeys-lru.*set it to noeviction/);
  });
});

test('--help shows examples, --version the version', async () => {
  const help = await home.droverHosted(['run', '--help']);
  expect(help.code).toBe(0);
  expect(help.stdout).toContain('drover run --completions 100 --parallelism 8 --indexed -- ');
  const version = await home.droverAlone(['--version']);
  expect(version).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
  });
});
