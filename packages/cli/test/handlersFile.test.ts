import { afterAll, beforeAll, expect, test } from 'vitest';

import { Home } from './drover.ts';

let home: Home;

beforeAll(async () => {
  home = await Home.make();
});

afterAll(() => home.remove());

/** Starts a worker whose Redis is away: with handlers that can be loaded it gets as far as that. */
async function worker(text: string): Promise<{ code: number | null; stderr: string }> {
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
