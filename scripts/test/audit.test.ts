import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';
import { parse } from 'yaml';

import { auditProblems, runtimePackages, type Lockfile, type Manifest } from '../audit.ts';
import { ROOT } from '../lib/toolchain.js';

const resolution = { integrity: 'sha512-x' };

function lock(packages: Lockfile['packages']): Lockfile {
  return {
    importers: {
      'packages/a': {
        dependencies: { one: { version: '1.0.0(two@2.0.0)' }, ours: { version: 'link:../b' } },
      },
      'packages/tools': { dependencies: { tool: { version: '3.0.0' } } },
    },
    packages,
    snapshots: { 'one@1.0.0(two@2.0.0)': { dependencies: { two: '2.0.0' } }, 'two@2.0.0': {} },
  };
}

function manifest(name: string, more: Partial<Manifest> = {}): Manifest {
  return { name, version: '1.0.0', licence: 'MIT', installScripts: [], ...more };
}

test('what is published brings along its dependencies and theirs', () => {
  const found = runtimePackages(lock({}), ['packages/a']);
  expect([...found]).toEqual(['one@1.0.0', 'two@2.0.0']);
});

test('a package without a digest, from elsewhere, with an unknown script, or of another licence is told', () => {
  const packages = {
    'one@1.0.0': { resolution },
    'old@1.0.0': { resolution: { integrity: 'sha1-x' } },
    'git@1.0.0': { resolution: { ...resolution, tarball: 'somewhere' } },
  };
  const installed = [
    manifest('one', { licence: 'MPL-2.0' }),
    manifest('tool', { licence: 'MPL-2.0' }),
    manifest('either', { licence: '(GPL-3.0 OR MIT)' }),
    manifest('builder', { installScripts: ['postinstall'] }),
    manifest('known', { installScripts: ['install'] }),
    manifest('closed', { licence: '' }),
  ];
  const runtime = new Set(['one@1.0.0']);
  expect(auditProblems(lock(packages), installed, runtime, new Set(['known']))).toEqual([
    'old@1.0.0: the lock file has no SHA-512 of it',
    'git@1.0.0: does not come from the registry: {"tarball":"somewhere"}',
    'one@1.0.0: licence MPL-2.0 (what is published brings it along)',
    expect.stringMatching(/^builder@1\.0\.0: has postinstall, and allowBuilds/),
    'closed@1.0.0: licence not said (a tool)',
  ]);
});

test('docs/security.md names what each published package depends on', () => {
  const text = readFileSync(join(ROOT, 'pnpm-lock.yaml'), 'utf8');
  const { importers } = parse(text) as Lockfile;
  const docs = readFileSync(join(ROOT, 'docs/security.md'), 'utf8');
  const said = new Map<string, string[]>();
  for (const [, folder = '', names = ''] of docs.matchAll(/^\| `@drover\/(\w+)` \| (.*) \|$/gm)) {
    said.set(folder, [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name).toSorted());
  }
  for (const folder of ['shared', 'store', 'controller', 'worker', 'sdk', 'server', 'cli']) {
    const { dependencies = {} } = importers[`packages/${folder}`] ?? {};
    const theirs = Object.keys(dependencies).filter((name) => !name.startsWith('@drover/'));
    expect(said.get(folder), folder).toEqual(theirs.toSorted());
  }
});
