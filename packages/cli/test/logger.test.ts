import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { spawnNode } from '@drover/testkit';
import { expect, test } from 'vitest';

const logger = new URL('../src/logger.ts', import.meta.url).href;

/** What a process logs that runs these lines with a `logger`. */
async function logged(lines: string, level = 'info'): Promise<Record<string, unknown>[]> {
  const script = `
    import { createLogger } from ${JSON.stringify(logger)};
    const logger = createLogger({ level: ${JSON.stringify(level)}, name: 'test' });
    ${lines}
  `;
  const folder = await mkdtemp(join(tmpdir(), 'drover-log-'));
  const file = join(folder, 'logs.mjs');
  await writeFile(file, script);
  const process = spawnNode(file);
  await process.exited;
  await rm(folder, { recursive: true });
  return process
    .output('stderr')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('logs JSON to standard error when that is no terminal', async () => {
  const [entry] = await logged("logger.info({ jobUid: 'u' }, 'hello')");
  expect(entry).toMatchObject({ level: 30, name: 'test', jobUid: 'u', msg: 'hello' });
  expect(entry?.['time']).toMatch(/^\d{4}-\d\d-\d\dT/);
});

test('cuts secrets out of fields and of errors', async () => {
  const [fields, error] = await logged(`
    logger.info({ connection: { host: 'h', password: 'hunter2' }, redisUrl: 'redis://:hunter2@h' }, 'x');
    const error = new Error('connect redis://user:hunter2@host:1 failed');
    error.command = { name: 'auth', args: ['hunter2'] };
    logger.error({ err: error }, 'y');
  `);
  expect(fields).toMatchObject({ connection: { host: 'h', password: '[secret]' } });
  expect(error).toMatchObject({ err: { message: 'connect redis://***@host:1 failed' } });
  expect(JSON.stringify([fields, error])).not.toContain('hunter2');
});

test('logs nothing below its level', async () => {
  expect(await logged("logger.info('a'); logger.warn('b')", 'warn')).toHaveLength(1);
  expect(await logged("logger.error('a')", 'silent')).toEqual([]);
});

test.skipIf(process.platform !== 'linux')('goes on when the disk of its log is full', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'drover-log-'));
  const file = join(folder, 'logs.mjs');
  const lines = `
    import { createLogger } from ${JSON.stringify(logger)};
    const logger = createLogger({ level: 'info', name: 'test' });
    for (let i = 0; i < 3; i++) {
      logger.info('x'.repeat(1000));
      await new Promise(setImmediate);
    }
    console.log('went on');
  `;
  await writeFile(file, lines);
  const command = 'exec "$0" "$1" 2>/dev/full';
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command, process.execPath, file]);
  await rm(folder, { recursive: true });
  expect(stdout).toBe('went on\n');
});
