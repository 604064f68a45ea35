import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { guardProcess } from './watchdog.ts';

/** A server whose output is read. */
export type ServerProcess = ChildProcessByStdio<null, Readable, Readable>;

/**
 * Starts the redis-server of PATH, or that of DROVER_REDIS_SERVER: a Valkey, say. It ends with this process.
 *
 * @param within - What starts it in its own place.
 */
export function spawnRedisServer(
  args: readonly string[],
  within: readonly string[] = [],
): ServerProcess {
  const program = process.env['DROVER_REDIS_SERVER'] || 'redis-server';
  const [command = '', ...rest] = [...within, program, ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  guardProcess(child);
  return child;
}

/**
 * Waits for a line of its output.
 *
 * @throws Error with what it said when it ends before.
 */
export async function untilItSays(child: ServerProcess, pattern: RegExp): Promise<void> {
  let log = '';
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      // Enough to say why it failed to start.
      if (log.length < 65_536) log += chunk.toString();
      if (pattern.test(log)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`redis-server did not start:\n${log}`)));
  });
}

/** A TCP port on 127.0.0.1 that nobody has at the moment. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert(address !== null && typeof address === 'object');
  server.close();
  await once(server, 'close');
  return address.port;
}
