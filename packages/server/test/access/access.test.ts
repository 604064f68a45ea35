/** Tokens with roles, as clients meet them: a real server, the real kubectl. */

import { Agent } from 'node:https';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { hashOf, newToken, openStoredTokens, TokenFile } from '../../src/index.ts';
import { ServerBed } from '../bed.ts';

/** Requests of one token that are answered in ten seconds. */
const RATE = 10;
const JOBS = '/apis/batch/v1/namespaces/team-a/jobs';

let bed: ServerBed;
let dir: string;
let file: TokenFile;
const audit: string[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-access-'));
  file = new TokenFile(join(dir, 'tokens.yaml'));
  await writeFile(join(dir, 'tokens.yaml'), 'tokens: []\n');
  const auditLogger = pino({}, { write: (line: string) => void audit.push(line) });
  bed = await ServerBed.start({
    tokensFile: join(dir, 'tokens.yaml'),
    rateLimit: RATE,
    auditLogger,
  });
}, 60_000);
afterAll(async () => {
  await bed.stop();
  await rm(dir, { recursive: true, force: true });
});

function make(name: string, roles: string[], expires?: string) {
  const token = newToken(name);
  const known = { name, hash: hashOf(token), roles, ...(expires === undefined ? {} : { expires }) };
  return { token, known };
}

async function store(name: string, ...roles: string[]): Promise<string> {
  const { token, known } = make(name, roles);
  const { tokens, close } = openStoredTokens({ connection: bed.redis.url });
  await tokens.add(known);
  await close();
  return token;
}

async function code(token: string, path: string, options: object = {}): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  return (await bed.fetch(path, { ...options, headers })).code;
}

test('a token may do what its roles allow, and kubectl is told so', async () => {
  const token = await store('ci', 'edit:team-a', 'view:team-b');
  const kubectl = (...args: string[]) => bed.kubectl(['--token', token, ...args]);
  expect(
    await kubectl('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'),
  ).toMatchObject({
    stdout: 'ci',
  });
  await bed.makeNamespaces('team-a');
  const image = ['--image', 'x', '--', 'true'];
  expect((await kubectl('create', 'job', 'mine', '-n', 'team-a', ...image)).code).toBe(0);
  expect(await kubectl('create', 'job', 'theirs', '-n', 'team-b', ...image)).toMatchObject({
    code: 1,
    stderr:
      'error: failed to create job: jobs.batch is forbidden: User "ci" cannot create resource "jobs" in API group "batch" in the namespace "team-b"\n',
  });
  expect(await kubectl('get', 'jobs', '-A')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('at the cluster scope'),
  });
  expect(await kubectl('auth', 'can-i', 'create', 'jobs', '-n', 'team-a')).toMatchObject({
    code: 0,
    stdout: 'yes\n',
  });
  expect(await kubectl('auth', 'can-i', 'create', 'jobs', '-n', 'team-b')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^no/),
  });
  const list = await kubectl('auth', 'can-i', '--list', '-n', 'team-b');
  expect(list.stdout).toMatch(/jobs\.batch +\[\] +\[\] +\[get list watch\]/);
  expect(list.stdout).not.toContain('secrets');
}, 30_000);

test('a token that was revoked, is out of date or of another secret is refused', async () => {
  const token = await store('gone', 'view');
  expect(await code(token, JOBS)).toBe(200);
  const { tokens, close } = openStoredTokens({ connection: bed.redis.url });
  const [stored] = (await tokens.list()).filter(({ name }) => name === 'gone');
  // It is nowhere to be read.
  expect(JSON.stringify(stored)).not.toContain(token.split('_')[2]);
  expect(await tokens.remove('gone')).toBe(true);
  await close();
  await expect.poll(() => code(token, JOBS), { timeout: 5_000, interval: 300 }).toBe(401);
  expect(await code(newToken('ci'), JOBS)).toBe(401);

  const over = make('over', ['admin'], '2020-01-01T00:00:00Z');
  const good = make('good', ['view:team-a'], '2199-01-01T00:00:00Z');
  await file.add(over.known);
  await file.add(good.known);
  expect((await readFile(join(dir, 'tokens.yaml'), 'utf8')).includes(good.token)).toBe(false);
  await expect.poll(() => code(good.token, JOBS), { timeout: 5_000, interval: 300 }).toBe(200);
  expect(await code(over.token, JOBS)).toBe(401);
  await expect(file.add(good.known)).rejects.toThrow('tokens "good" already exists');
}, 30_000);

test('nobody acts as somebody else', async () => {
  const headers = {
    authorization: `Bearer ${await store('actor', 'view')}`,
    'impersonate-user': 'drover-admin',
  };
  expect(await bed.fetch(JOBS, { headers })).toMatchObject({
    code: 403,
    text: expect.stringContaining('impersonate-user'),
  });
});

test('what was to be changed is written down, without what was in it', async () => {
  const token = await store('auditor', 'edit:team-a');
  const headers = { authorization: `Bearer ${token}`, 'user-agent': 'test' };
  const secret = { metadata: { generateName: 'made-' }, stringData: { password: 'geheim' } };
  const post = (namespace: string) =>
    bed.fetch(`/api/v1/namespaces/${namespace}/secrets`, {
      method: 'POST',
      headers,
      body: JSON.stringify(secret),
    });
  await bed.makeNamespaces('team-a');
  audit.length = 0;
  expect([(await post('team-a')).code, (await post('team-b')).code]).toEqual([201, 403]);
  await bed.fetch('/api/v1/namespaces/team-a/secrets', { headers });
  await expect.poll(() => audit.length).toBe(2);
  const common = { user: 'auditor', verb: 'create', resource: 'secrets', userAgent: 'test' };
  expect(audit.map((line) => (JSON.parse(line) as { audit: object }).audit)).toMatchObject([
    { ...common, namespace: 'team-a', name: expect.stringMatching(/^made-\w{5}$/), code: 201 },
    { ...common, namespace: 'team-b', name: '', code: 403 },
  ]);
  expect(audit.join('')).not.toMatch(/geheim|Z2VoZWlt/);
});

test('too many requests of one token are put off, and of strangers, too; others are answered', async () => {
  const token = await store('busy', 'view');
  const headers = { authorization: `Bearer ${token}` };
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  // As many as are allowed in ten seconds, and some more, at once.
  const codes = await Promise.all(
    Array.from({ length: RATE * 10 + 20 }, () => code(token, '/api', { agent })),
  );
  expect(new Set(codes)).toEqual(new Set([200, 429]));
  expect(codes.filter((found) => found === 200).length).toBeLessThanOrEqual(RATE * 10);
  const refused = await bed.fetch('/api', { headers });
  expect(refused.code).toBe(429);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(JSON.parse(refused.text)).toMatchObject({ kind: 'Status', reason: 'TooManyRequests' });
  expect(await code(bed.identity.token, '/api')).toBe(200);

  const strange = await Promise.all(
    Array.from({ length: 220 }, () => code('wrong', '/api', { agent })),
  );
  agent.destroy();
  expect(new Set(strange)).toEqual(new Set([401, 429]));
  expect(await code(bed.identity.token, '/api')).toBe(200);
}, 30_000);
