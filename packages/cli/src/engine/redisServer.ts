import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

import { CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';

/** How a private redis-server is started. */
export interface RedisServerOptions {
  /** Its directory; made if missing, readable by its owner only. */
  readonly dataDir: string;
  /** Keep data over a restart (append-only file). */
  readonly persistent: boolean;
  /** TCP port on the loopback interface; null for none. */
  readonly port: number | null;
  /** Unix socket; null for none. */
  readonly socketPath: string | null;
  /** Password of the default user; null for none. Written to a file, never to an argument. */
  readonly password: string | null;
  /** Remove the directory when the server has ended. Only for one that was made for it. */
  readonly removeDataDir?: boolean;
}

/** A running private redis-server. */
export interface RedisServer {
  /** Resolves when the server ended, wanted or not. */
  readonly ended: Promise<void>;
  /** Ends it with SIGTERM, so that it writes its data; SIGKILL after five seconds. */
  stop(): Promise<void>;
}

/** What Redis and Valkey print when clients may come, in several forms for TCP and sockets. */
const READY_TEXT = /ready to accept connections/i;
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;

/**
 * The server must end with us, whatever ends us: this shell holds our pipe as its input and stops
 * the server when the pipe closes, which it also does on kill -9. Its own session keeps a Ctrl-C
 * at the terminal away from the server, so that pods can still be reported while we shut down.
 */
const KEEPER = `
exec 3<&0
"$1" "$2" </dev/null &
server=$!
( cat <&3 >/dev/null; kill -TERM "$server" 2>/dev/null ) >/dev/null 2>&1 &
keeper=$!
wait "$server"
code=$?
kill "$keeper" 2>/dev/null
[ -z "$3" ] || rm -rf -- "$3"
exit "$code"
`;

/**
 * Starts a redis-server that ends with this process.
 *
 * @throws CliError when none is installed, or when it does not start; the message has its reason.
 */
export async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  const binary = await findRedisServer();
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const configPath = join(options.dataDir, 'redis.conf');
  await writeFile(configPath, redisConfig(options), { mode: 0o600 });

  const removed = options.removeDataDir === true ? options.dataDir : '';
  const child = spawn('/bin/sh', ['-c', KEEPER, 'drover-redis', binary, configPath, removed], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    cwd: '/',
  });
  // A write after the server's end is of no interest.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    const timer = setTimeout(() => killGroup(child), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  try {
    await untilReady(child, ended);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ended, stop };
}

/** Finds a free TCP port on the loopback interface, `wanted` if it is free. */
export async function freePort(wanted: number): Promise<number> {
  const tryPort = (port: number) =>
    new Promise<number | null>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(null));
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' ? (address?.port ?? null) : null));
      });
    });
  const port = (await tryPort(wanted)) ?? (await tryPort(0));
  if (port === null) throw new CliError('no free TCP port on 127.0.0.1', EXIT.failed);
  return port;
}

async function untilReady(child: ChildProcess, ended: Promise<void>): Promise<void> {
  const lines: string[] = [];
  const ready = new Promise<'ready'>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      // Read on for ever: a full pipe would stop the server.
      createInterface({ input: stream }).on('line', (line) => {
        if (lines.length < 200) lines.push(line);
        if (READY_TEXT.test(line)) resolve('ready');
      });
    }
  });
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), START_TIMEOUT_MS);
  });
  const outcome = await Promise.race([ready, timeout, ended.then(() => 'ended' as const)]);
  clearTimeout(timer);
  if (outcome === 'ready') return;
  const why = lines.filter((line) => /error|failed|denied|fatal|bad /i.test(line)).slice(-3);
  throw new CliError(
    outcome === 'timeout'
      ? `redis-server was not ready after ${START_TIMEOUT_MS / 1000} s`
      : 'redis-server ended before it was ready',
    EXIT.noConnection,
    (why.length > 0 ? why : lines.slice(-3)).map((line) => `  ${line}`),
  );
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

async function findRedisServer(): Promise<string> {
  const given = process.env['DROVER_REDIS_SERVER'];
  if (given !== undefined && given !== '') return given;
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      if (folder === '') continue;
      const path = join(folder, name);
      try {
        await access(path, constants.X_OK);
        return path;
      } catch {
        // Not here.
      }
    }
  }
  throw new CliError('redis-server is not installed', EXIT.noConnection, [
    '  install Redis 7 (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis),',
    '  or name a running one with --redis URL or DROVER_REDIS_URL',
  ]);
}

function redisConfig(options: RedisServerOptions): string {
  const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const lines = [
    'bind 127.0.0.1',
    `port ${options.port ?? 0}`,
    `dir ${quote(options.dataDir)}`,
    'save ""',
    `appendonly ${options.persistent ? 'yes' : 'no'}`,
    // Losing a claim or a count is not an option; a full Redis must refuse instead.
    'maxmemory-policy noeviction',
    'daemonize no',
  ];
  if (options.socketPath !== null) {
    lines.push(`unixsocket ${quote(options.socketPath)}`, 'unixsocketperm 700');
  }
  if (options.password !== null) lines.push(`requirepass ${quote(options.password)}`);
  return `${lines.join('\n')}\n`;
}
