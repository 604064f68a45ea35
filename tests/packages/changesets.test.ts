/** Versions are made from changesets: tried on a copy, so that nothing here changes. */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../../scripts/lib/toolchain.js';
import { UserFolder } from './support.ts';

let copy: UserFolder;
let folders: string[];

beforeAll(async () => {
  copy = await UserFolder.make();
  folders = await readdir(join(ROOT, 'packages'));
  const files = ['package.json', 'pnpm-workspace.yaml', 'pnpm-lock.yaml', '.changeset/config.json'];
  files.push(...folders.map((folder) => `packages/${folder}/package.json`));
  for (const file of files) await cp(join(ROOT, file), join(copy.dir, file));
});

afterAll(async () => {
  await copy.remove();
});

test('a change of one package gives all that are published the same new version', async () => {
  const before = await versions();
  // Private, so it has no new versions.
  const testkit = before.get('testkit');
  before.delete('testkit');
  expect(new Set(before.values()).size).toBe(1);
  const [version = ''] = before.values();
  await writeFile(
    join(copy.dir, '.changeset', 'new.md'),
    "---\n'@drover/store': minor\n---\n\nSomething new.\n",
  );

  const changeset = join(ROOT, 'node_modules', '.bin', 'changeset');
  const ended = await copy.run(changeset, ['version']);
  expect(ended.code, `${ended.stdout}${ended.stderr}`).toBe(0);

  const [major = 0, minor = 0] = version.split('.').map(Number);
  const next = `${major}.${minor + 1}.0`;
  const after = await versions();
  expect(after.get('testkit')).toBe(testkit);
  for (const folder of before.keys())
    expect(`${folder} ${after.get(folder)}`).toBe(`${folder} ${next}`);
  const log = await readFile(join(copy.dir, 'packages/store/CHANGELOG.md'), 'utf8');
  expect(log).toContain(`## ${next}\n\n### Minor Changes\n\n- Something new.\n`);
}, 30_000);

/** The version of each package, by its folder. */
async function versions(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    const text = await readFile(join(copy.dir, 'packages', folder, 'package.json'), 'utf8');
    found.set(folder, (JSON.parse(text) as { version: string }).version);
  }
  return found;
}
