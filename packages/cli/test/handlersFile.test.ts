import { startRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Home, type Ended } from './drover.ts';

let home: Home;

beforeAll(async () => {
  home = await Home.make();
});

afterAll(() => home.remove());

/** Starts a worker whose Redis is away: with handlers that can be loaded it gets as far as that. */
async function worker(text: string): Promise<Ended> {
  await home.write('mine.ts', text);
  return home.drover(['worker', '--handlers', 'mine.ts', '--redis', 'redis://127.0.0.1:1']);
}

test('a module anywhere finds @drover/sdk, though no package of it is near', async () => {
  const ended = await worker(`import { defineHandler } from '@drover/sdk';
    export const greet = defineHandler('greet', () => 'hello');`);
  expect(ended.stderr).toMatch(/^error: Redis at 127\.0\.0\.1:1 is not reachable/);
  expect(ended.code).toBe(3);
});

test('what is missing beside Drover is told by its name', async () => {
  const ended = await worker(`import 'no-such-package';`);
  expect(ended.stderr).toMatch(
    /^error: --handlers mine\.ts: Cannot find package 'no-such-package'/,
  );
  expect(ended.code).toBe(2);
});

test('mistakes are told with the line they are in', async () => {
  expect((await worker(`\nexport const x = (;`)).stderr).toMatch(
    /^error: --handlers mine\.ts: .*\(\/.*\/mine\.ts:2\)\n$/,
  );
  expect((await worker(`\n\nthrow new Error('not today');`)).stderr).toMatch(
    /^error: --handlers mine\.ts: not today \(\/.*\/mine\.ts:3(?::\d+)?\)\n$/,
  );
  expect((await worker('enum Colour { Red }')).stderr).toMatch(
    /^error: --handlers mine\.ts: TypeScript enum is not supported.*\/mine\.ts:1\)\n$/,
  );
});

test('a file that is not there is told as the user named it', async () => {
  expect(await home.drover(['worker', '--handlers', 'nowhere.ts'])).toMatchObject({
    code: 2,
    stderr: 'error: --handlers nowhere.ts: no such file\n',
  });
});

test.each([
  { name: 'throws nothing', text: 'throw null;', want: 'it threw null' },
  {
    name: 'throws an error of many lines',
    text: `throw new Error('one\\ntwo\\nthree');`,
    want: /^one \(\/.*\/mine\.ts:1:\d+\)$/,
  },
  {
    name: 'rejects',
    text: 'await Promise.reject(new Error("later"));',
    want: /^later \(.*mine\.ts/,
  },
  {
    name: 'ends its process',
    text: 'process.exit(0);',
    want: 'it ended the process with exit code 0 while it was being loaded',
  },
  {
    name: 'awaits something that never comes',
    text: 'await new Promise(() => {});',
    want: 'it awaits something at its top level that never comes',
  },
])('a module that $name when it is loaded is told in one line', async ({ text, want }) => {
  const { code, stderr, stdout } = await worker(text);
  const [first = '', ...rest] = stderr.split('\n').filter((line) => line !== '');
  expect(first.startsWith('error: --handlers mine.ts: ')).toBe(true);
  expect(first.slice('error: --handlers mine.ts: '.length)).toMatch(want);
  // Of Drover's own code nothing is shown.
  expect(rest).toEqual([]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});

test('a module that can be loaded, but not in a thread, is told when the worker starts', async () => {
  const redis = await startRedis();
  try {
    await home.write(
      'mine.ts',
      `import { isMainThread } from 'node:worker_threads';
      import { defineHandler } from '@drover/sdk';
      if (!isMainThread) throw new Error('not here');
      export const greet = defineHandler('greet', () => 'hello', { isolation: 'thread' });`,
    );
    const ended = await home.drover(['worker', '--handlers', 'mine.ts', '--redis', redis.url]);
    expect(ended.stderr).toMatch(
      /^error: handlers in threads: file:\/\/.*mine\.ts: not here \(.*mine\.ts:3(?::\d+)?\)$/m,
    );
    expect(ended.code).toBe(2);
  } finally {
    await redis.stop();
  }
});
