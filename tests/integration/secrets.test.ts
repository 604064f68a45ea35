/** Secrets are in no output, no argument and no environment of any process of an installation that is set up as docs/security.md says. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import {
  guardFolder,
  spawnNode,
  startRedis,
  TestAuthority,
  type NodeProcess,
  type TestRedis,
} from '@drover/testkit';
import { expect, onTestFinished, test } from 'vitest';

const DROVER = fileURLToPath(new URL('../../packages/cli/bin/drover.js', import.meta.url));
const VALUE = 'planted-value-of-a-secret';
const ROLES = ['controller', 'worker', 'server'] as const;

/** Starts or runs `drover` in a home of its own. */
class Commands {
  readonly folder: string;
  readonly url: string;
  readonly all: NodeProcess[] = [];

  constructor(folder: string, url: string) {
    this.folder = folder;
    this.url = url;
  }

  start(args: readonly string[], role?: string): NodeProcess {
    const env = {
      DROVER_REDIS_URL: this.url.replace('://', `://drover-${role ?? 'server'}@`),
      DROVER_REDIS_PASSWORD_FILE: join(this.folder, 'passwords', role ?? 'server'),
      DROVER_REDIS_CACERT: join(this.folder, 'ours.pem'),
      DROVER_REDIS_CERT: join(this.folder, 'client.crt'),
      DROVER_REDIS_KEY: join(this.folder, 'client.key'),
      DROVER_SECRET_KEY_FILE: join(this.folder, 'secret.key'),
      DROVER_LOG_LEVEL: 'trace',
      DROVER_DEBUG: '1',
      XDG_STATE_HOME: this.folder,
    };
    const started = spawnNode(DROVER, args, { env });
    this.all.push(started);
    return started;
  }

  async run(args: readonly string[], role?: string): Promise<NodeProcess> {
    const command = this.start(args, role);
    await command.exited;
    return command;
  }
}

test('what is secret is in no log, error, argument or environment, also when Redis cuts and refuses connections', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'drover-secrets-'));
  guardFolder(folder);
  const authority = await TestAuthority.create(folder, 'ours');
  const local = await authority.issue('local', ['127.0.0.1']);
  const client = await authority.issue('client', []);
  // What makes the users needs no Redis.
  const run = promisify(execFile);
  const passwords = join(folder, 'passwords');
  const acl = ['acl', '--passwords', passwords, '--format', 'aclfile'];
  const users = await run(process.execPath, [DROVER, ...acl]);
  await writeFile(join(folder, 'users.acl'), users.stdout);
  const redis = await startRedis({
    topology: 'server',
    tls: { ...local, cacert: authority.cacert, client },
    config: { aclfile: join(folder, 'users.acl') },
  });
  onTestFinished(() => redis.stop());
  const commands = new Commands(folder, redis.url);
  onTestFinished(async () => {
    await Promise.all(commands.all.map((one) => one.kill('SIGKILL')));
  });
  await commands.run(['secret-key', 'create', join(folder, 'secret.key')]);

  // Only that may make an installation.
  const controller = commands.start(['controller'], 'controller');
  await controller.waitForLine(/controller runs/);
  const started = {
    controller,
    worker: commands.start(['worker', '--name', 'w1'], 'worker'),
    server: commands.start(['server', '--port', '0', '--data-dir', join(folder, 'server')]),
  };
  const [url = ''] = await started.server.waitForLine(/https:\/\/[\w.:]+/);
  await started.worker.waitForLine(/worker takes pods/);

  // The name of a user is no secret.
  expect(started.worker.output()).not.toContain('password of Redis is in the environment');

  const manifest = join(folder, 'job.json');
  const secret = { name: 'S', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } };
  await writeFile(
    manifest,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { k: VALUE } },
        {
          apiVersion: 'batch/v1',
          kind: 'Job',
          metadata: { name: 'uses' },
          spec: {
            template: {
              spec: {
                restartPolicy: 'Never',
                containers: [
                  { name: 'main', command: ['sh', '-c', 'echo ${#S}; env | wc -l'], env: [secret] },
                ],
              },
            },
          },
        },
      ],
    }),
  );
  const applied = await commands.run(['apply', '-f', manifest]);
  expect(applied.output()).toMatch(/uses created/);
  await commands.run(['wait', 'job/uses', '--for', 'complete', '--timeout', '60s']);
  expect((await commands.run(['logs', 'job/uses'])).output()).toMatch(
    new RegExp(`^${VALUE.length}$`, 'm'),
  );
  const looks = [
    ['get', 'secrets'],
    ['describe', 'secret/s'],
    ['config', 'view'],
  ];
  await Promise.all([
    ...looks.map((args) => commands.run(args)),
    commands.run(['doctor'], 'reader'),
  ]);

  const token = await text(join(folder, 'server', 'token'));
  const ca = await readFile(join(folder, 'server', 'ca.crt'));
  for (const path of ['/apis/batch/v1/jobs', '/api/v1/pods', '/api/v1/secrets', '/api/v1/nodes']) {
    expect(await status(`${url}${path}`, ca, token)).toBe(200);
  }
  expect(await status(`${url}/api/v1/pods`, ca, 'wrong')).toBe(401);
  expect(await refusals(redis)).toEqual([]);

  // Cut off, and refused for a while: what is logged then has the failed commands at hand, AUTH among them.
  const admin = redis.connect();
  for (const role of ROLES) await admin.call('ACL', 'SETUSER', `drover-${role}`, 'off');
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await started.worker.waitForLine(/WRONGPASS|disabled/);
  const refused = await commands.run(['get', 'jobs']);
  expect(refused.output()).toMatch(/refused the login/);

  const planted = [
    VALUE,
    ...(await Promise.all((await readdir(passwords)).map((name) => text(join(passwords, name))))),
    ...(await text(client.key)).split('\n').filter((line) => line !== '' && !line.startsWith('-')),
    (await text(join(folder, 'secret.key'))).split(/\s+/).at(-1) ?? '',
    token,
  ];
  expect(planted.filter((one) => one.length < 16)).toEqual([]);
  const shown = await Promise.all(
    ROLES.flatMap((role) => [
      text(`/proc/${started[role].pid}/cmdline`),
      text(`/proc/${started[role].pid}/environ`),
    ]),
  );
  const said = commands.all.map((one) => one.output());
  expect(said.join('').length).toBeGreaterThan(1_000);
  for (const one of planted) {
    expect([...shown, ...said].filter((where) => where.includes(one))).toEqual([]);
  }
});

/** What users of Redis were refused up to now. */
async function refusals(redis: TestRedis): Promise<string[]> {
  const entries = (await redis.connect().call('ACL', 'LOG', '128')) as string[][];
  return entries.map((entry) => entry.join(' '));
}

async function status(url: string, ca: Buffer, token: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    get(url, { ca, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).once('error', reject);
  });
}

async function text(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim();
}
