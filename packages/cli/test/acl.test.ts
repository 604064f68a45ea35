import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { startRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';

import { Home } from './drover.ts';

let home: Home;

beforeAll(async () => {
  home = await Home.make();
});

afterAll(async () => {
  await home.remove();
});

test('drover acl prints users that Redis takes, from a file and by commands, with passwords that it makes once', async () => {
  const passwords = join(home.dir, 'passwords');
  const acl = async (format: string): Promise<string> => {
    const args = ['acl', '--passwords', passwords, '--format', format, '--prefix', 'mine'];
    const { code, stdout } = await home.drover(args);
    expect(code).toBe(0);
    return stdout;
  };
  const lines = await acl('aclfile');
  const file = join(passwords, 'reader');
  const password = (await readFile(file, 'utf8')).trim();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(lines).not.toContain(password);

  const redis = await startRedis({ config: { aclfile: await home.write('users.acl', lines) } });
  onTestFinished(() => redis.stop());
  const admin = redis.connect();
  expect(await admin.call('AUTH', 'mine-reader', password)).toBe('OK');
  const other = redis.connect();
  // Users that were made by a command have one word more, which means what is so anyway.
  const list = async (): Promise<string[]> =>
    ((await other.call('ACL', 'LIST')) as string[]).map((user) =>
      user.replace(' sanitize-payload', ''),
    );
  const before = await list();
  for (const line of (await acl('setuser')).trimEnd().split('\n')) {
    // As redis-cli splits it: what is in brackets is one word.
    const [command = '', ...words] = line.match(/\([^)]*\)|\S+/g) ?? [];
    const quoted = words.map((word) => word.replace(/^"(.*)"$/, '$1'));
    expect(await other.call(command, ...quoted)).toBe('OK');
  }
  // The same passwords, and the same rights.
  expect(await list()).toEqual(before);
});

test('what is wrong with the arguments of drover acl is said', async () => {
  const file = await home.write('file', '');
  const cases: readonly [string[], RegExp][] = [
    [['acl', '--prefix', 'a*'], /^error: --prefix a\*: 1 to 64 letters/],
    [['acl', '--format', 'yaml'], /Allowed choices are setuser, aclfile/],
    [['acl', '--passwords', file], /^error: --passwords .*file: /],
  ];
  for (const [args, want] of cases) {
    const { code, stderr } = await home.drover(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(want);
  }
});
