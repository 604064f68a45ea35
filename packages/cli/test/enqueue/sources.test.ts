import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { findLineSources, findPaths } from '../../src/enqueue/sources.ts';
import { Home } from '../drover.ts';

let home: Home;

beforeAll(async () => {
  home = await Home.make();
  await mkdir(join(home.dir, 'data', 'deep'), { recursive: true });
  await mkdir(join(home.dir, 'data', 'dir.csv'));
  for (const name of ['b.csv', 'a.csv', 'a.txt', '.hidden.csv', 'deep/c.csv', 'ä ö.csv']) {
    await home.write(join('data', name), 'x\n');
  }
  await symlink('a.csv', join(home.dir, 'data', 'link.csv'));
  await symlink('nowhere', join(home.dir, 'data', 'broken.csv'));
});
afterAll(() => home.remove());

async function found(...patterns: string[]): Promise<string[]> {
  const paths = await findPaths(patterns.map((pattern) => join(home.dir, pattern)));
  return paths.map((path) => path.slice(home.dir.length + 1));
}

describe('findPaths', () => {
  test('files that match, in order, without directories and links that lead nowhere', async () => {
    expect(await found('data/*.csv')).toEqual([
      'data/a.csv',
      'data/b.csv',
      'data/link.csv',
      'data/ä ö.csv',
    ]);
  });

  test('of several patterns each file once', async () => {
    expect(await found('data/a.*', 'data/**/[ac].csv')).toEqual([
      'data/a.csv',
      'data/a.txt',
      'data/deep/c.csv',
    ]);
  });

  test('every pattern without a file is told', async () => {
    const error = await findPaths(['/nowhere/*', '/neither/*']).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: "--glob '/nowhere/*': no file matches",
      details: ["--glob '/neither/*': no file matches"],
    });
  });
});

test('findLineSources tells all that can not be read', async () => {
  const paths = ['-', join(home.dir, 'none'), home.dir, '-'];
  const error = await findLineSources(paths).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    message: 'standard input can be read only once: `-` is there twice',
    details: [
      `${join(home.dir, 'none')}: can't be read: there is no such file or directory`,
      `${home.dir}: can't be read: it is a directory`,
    ],
  });
  const [file] = await findLineSources([join(home.dir, 'data/a.csv')]);
  expect(file).toMatchObject({ isFile: true, sizeBytes: 2 });
});
