/**
 * Makes `fixtures/layout-N.jsonl`: what an older version has in Redis in the middle of its work.
 *
 *   node scripts/launch.js tests/upgrade/makeFixture.ts REVISION
 *
 * Needs the history of git, and a redis-server no newer than the oldest that the file is to be read by.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { spawnNode, startRedis } from '@drover/testkit';

import { dumpInstallation } from './fixtureFile.ts';
import { findCommit, olderVersion } from './olderVersion.ts';

/** Of the installation while it is filled. */
const PREFIX = 'older';

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const revision = process.argv[2];
const commit = revision === undefined ? null : await findCommit(revision);
if (commit === null) {
  process.stderr.write('usage: makeFixture.ts REVISION, a commit that git has here\n');
  process.exit(2);
}
const older = await olderVersion(commit, ['tests/upgrade/fill.ts']);
const folder = mkdtempSync(join(tmpdir(), 'drover-fixture-'));
cpSync(pathOf('fixtures/secret.key'), join(folder, 'secret.key'));
const server = await startRedis({ topology: 'server' });
try {
  const fill = spawnNode(join(older, 'tests/upgrade/fill.ts'), [server.url, PREFIX, folder], {
    cwd: older,
  });
  const { code } = await fill.exited;
  if (code !== 0) throw new Error(`it could not be filled:\n${fill.output()}`);
  const redis = server.connect();
  const info = await redis.info('server');
  const layoutVersion = Number(
    await redis.hget(`{${PREFIX}:installation}:settings`, 'layoutVersion'),
  );
  const text = await dumpInstallation(redis, PREFIX, {
    commit,
    redis: /^redis_version:(.*?)\r?$/m.exec(info)?.[1] ?? '',
    layoutVersion,
  });
  const path = pathOf(`fixtures/layout-${layoutVersion}.jsonl`);
  writeFileSync(path, text);
  process.stdout.write(`${path}: ${text.split('\n').length - 2} keys, ${text.length} bytes\n`);
} finally {
  await server.stop();
  rmSync(folder, { recursive: true });
}
