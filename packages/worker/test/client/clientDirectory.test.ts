import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { ClientDirectory } from '../../src/client/clientDirectory.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-clients-'));
  vi.stubEnv('TMPDIR', directory);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

test('the file for clients is written anew when what tidies up temporary files removed it', async () => {
  const connection = { connection: 'redis://db', prefix: 'p' };
  const clients = new ClientDirectory(connection, ['drover'], pino({ level: 'silent' }));
  const first = await clients.places();
  expect(await clients.places()).toBe(first);
  await rm(dirname(first.file), { recursive: true });
  const [again, same] = await Promise.all([clients.places(), clients.places()]);
  expect(same).toBe(again);
  expect(JSON.parse(await readFile(again.file, 'utf8'))).toEqual(connection);
  expect(await readFile(join(again.searchPath!, 'drover'), 'utf8')).toContain("'drover'");
  await clients.close();
});
