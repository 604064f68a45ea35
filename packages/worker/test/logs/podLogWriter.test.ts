import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  LogKind,
  readPodLog,
  type PodLogLine,
  type ReadPodLogOptions,
  writePodLog,
} from '@drover/store';
import { startRedis, uniquePrefix, waitFor, type TestRedis } from '@drover/testkit';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PodLogWriter } from '../../src/logs/podLogWriter.ts';
import { ProcessRunner } from '../../src/process/processRunner.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const logger = pino({ level: 'silent' });
let server: TestRedis;
let redis: Redis;
let runner: ProcessRunner;
const writers: PodLogWriter[] = [];

beforeAll(async () => {
  server = await startRedis({ appendOnly: true });
  redis = server.connect();
  runner = new ProcessRunner({ logger });
});

afterEach(() => {
  for (const writer of writers.splice(0)) writer.abandon();
});

afterAll(async () => {
  await runner.close();
  await server.stop();
});

function open(tailBytes?: number): { writer: PodLogWriter; key: string } {
  const key = `{${uniquePrefix()}}`;
  const writer = new PodLogWriter({ redis, key, logger, tailBytes });
  writers.push(writer);
  return { writer, key };
}

function writeText(writer: PodLogWriter, text: string): void {
  writer.write('c', 'stdout', Buffer.from(text));
}

async function read(key: string, options: ReadPodLogOptions = {}): Promise<PodLogLine[]> {
  const connection = options.follow === true ? server.connect() : redis;
  try {
    const lines: PodLogLine[] = [];
    for await (const line of readPodLog(connection, key, options)) lines.push(line);
    return lines;
  } finally {
    if (connection !== redis) connection.disconnect();
  }
}

async function readText(key: string, options: ReadPodLogOptions = {}): Promise<string> {
  return (await read(key, options)).map((line) => line.text).join('');
}

describe('runs of a container', () => {
  test('are told apart, also of one flush, and not written for the first', async () => {
    const { writer, key } = open();
    writer.write('c', 'stdout', Buffer.from('first\nhalf'));
    writer.beginRun('c', 1);
    writer.write('c', 'stdout', Buffer.from(' second\n'));
    writer.write('other', 'stdout', Buffer.from('other\n'));
    writer.beginRun('c', 2);
    writer.write('c', 'stderr', Buffer.from('third\n'));
    await writer.close();
    const ofRun = (wanted: number) =>
      readText(key, { runs: (container, run) => container === 'c' && run === wanted });
    expect(await ofRun(0)).toBe('first\nhalf');
    expect(await ofRun(1)).toBe(' second\n');
    expect(await ofRun(2)).toBe('third\n');
    expect(await readText(key)).toBe('first\nhalf second\nother\nthird\n');
    const [first] = await redis.xrange(key, '-', '+', 'COUNT', 1);
    expect(first?.[1]).toHaveLength(8);
  });
});

describe('writing', () => {
  test('what was written can be read, in order, with its streams', async () => {
    const { writer, key } = open();
    writer.write('c', 'stdout', Buffer.from('one\n'));
    writer.write('c', 'stderr', Buffer.from('two\n'));
    writer.write('c', 'stdout', Buffer.from('thr'));
    writer.write('c', 'stdout', Buffer.from('ee'));
    await writer.close();
    const lines = await read(key);
    expect(lines.map(({ container, stream, text }) => [container, stream, text])).toEqual([
      ['c', 'stdout', 'one\n'],
      ['c', 'stderr', 'two\n'],
      ['c', 'stdout', 'three'],
    ]);
    expect(writer.hasOutput).toBe(true);
  });

  test('it appears while the pod runs, the part of a line too', async () => {
    const { writer, key } = open();
    writeText(writer, 'ready\n> ');
    await waitFor(async () => (await readText(key)) === 'ready\n> ');
  });

  test('a pod that writes nothing has no stream', async () => {
    const { writer, key } = open();
    await writer.close();
    expect(writer.hasOutput).toBe(false);
    expect(await redis.exists(key)).toBe(0);
  });

  test('writes are gathered: at most one script in 100 ms', async () => {
    const { writer, key } = open();
    const before = await scriptCount();
    const beganAtMs = performance.now();
    let written = '';
    await waitFor(
      () => {
        const line = `${written.length}\n`;
        written += line;
        writeText(writer, line);
        return performance.now() - beganAtMs > 500;
      },
      { intervalMs: 1 },
    );
    await writer.close();
    const tookMs = performance.now() - beganAtMs;
    const count = (await scriptCount()) - before;
    expect(count).toBeGreaterThanOrEqual(2);
    expect(count).toBeLessThanOrEqual(Math.floor(tookMs / 100) + 1);
    expect(await readText(key)).toBe(written);
  });

  test('nothing is sent while nothing is written', async () => {
    const { writer, key } = open();
    writeText(writer, 'hello\n');
    await waitFor(async () => (await readText(key)) !== '');
    const before = await scriptCount();
    const other = open();
    // Two gathering times of another pod pass.
    writeText(other.writer, 'a');
    await waitFor(async () => (await readText(other.key)) === 'a');
    expect((await scriptCount()) - before).toBe(1);
    await writer.close();
  });

  test('the tail is bounded, to the byte, and holds the newest', async () => {
    const { writer, key } = open(8_000);
    for (let round = 0; round < 20; round++) {
      const lines = Array.from({ length: 30 }, (_, index) => `round ${round} line ${index}\n`);
      writeText(writer, lines.join(''));
      await waitFor(async () => (await readText(key)).includes(`round ${round} line 29`));
    }
    await writer.close();
    const text = await readText(key);
    const entries = await redis.xlen(key);
    expect(text.length + entries * 64).toBeLessThanOrEqual(8_000 + 64);
    expect(text.length).toBeGreaterThan(4_000);
    expect(text.endsWith('round 19 line 29\n')).toBe(true);
    expect(text.startsWith('round ')).toBe(true);
    expect(text).not.toContain('round 0 ');
  });

  test('many entries at once come in several scripts, all of them and in order', async () => {
    const { writer, key } = open();
    const before = await scriptCount();
    // Each is an entry of its own, since the streams take turns.
    const lines = Array.from({ length: 1_200 }, (_, index) => `${index}\n`);
    for (const [index, line] of lines.entries()) {
      writer.write('c', index % 2 === 0 ? 'stdout' : 'stderr', Buffer.from(line));
    }
    await writer.close();
    expect(await readText(key)).toBe(lines.join(''));
    expect((await scriptCount()) - before).toBe(3);
  });

  test('what is sent again after its answer was lost is there once', async () => {
    const { key } = open();
    const entry = { container: 'c', kind: LogKind.stdout, run: 0, timeMs: 1 };
    const entries = ['one\n', 'two\n'].map((text, index) => ({
      ...entry,
      id: `1-${index}`,
      data: Buffer.from(text),
    }));
    const change = { isFirst: true, minId: null, removedIds: [], entries: entries.slice(0, 1) };
    for (const again of [false, true]) {
      expect(await writePodLog(redis, key, change), String(again)).toBe('written');
    }
    for (const again of [false, true]) {
      const more = { ...change, isFirst: false, entries };
      expect(await writePodLog(redis, key, more), String(again)).toBe('written');
    }
    expect(await readText(key)).toBe('one\ntwo\n');
  });

  test('a stream that was deleted with its pod is not brought back', async () => {
    const { writer, key } = open();
    writeText(writer, 'one\n');
    await waitFor(async () => (await redis.exists(key)) === 1);
    await redis.del(key);
    writeText(writer, 'two\n');
    await writer.close();
    expect(await redis.exists(key)).toBe(0);
  });

  test('what an earlier run left under the key is replaced', async () => {
    const { writer, key } = open();
    await redis.xadd(key, '99999999999999-0', 'c', 'c', 's', 'o', 't', '1', 'd', 'old\n');
    writeText(writer, 'new\n');
    await writer.close();
    expect(await readText(key)).toBe('new\n');
  });

  test('after abandon nothing is written', async () => {
    const { writer, key } = open();
    writeText(writer, 'one\n');
    writer.abandon();
    writeText(writer, 'two\n');
    await writer.close();
    expect(await redis.exists(key)).toBe(0);
  });
});

describe('following', () => {
  test('follows a real program and ends with it', async () => {
    const { writer, key } = open();
    const followed = read(key, { follow: true });
    const running = runner.start(
      {
        command: [
          'sh',
          '-c',
          'for i in 1 2 3 4 5; do echo $i; sleep 0.15; done; echo end >&2; exit 3',
        ],
        args: [],
        env: { PATH: '/usr/bin:/bin' },
      },
      { onOutput: (stream, chunk) => writer.write('main', stream, chunk) },
    );
    expect(await running.exited).toMatchObject({ exitCode: 3 });
    await writer.close();
    const lines = await followed;
    expect(lines.map((line) => line.text).join('')).toBe('1\n2\n3\n4\n5\nend\n');
    const times = lines.map((line) => line.timeMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(300);
  });

  test('a follower that comes late gets all and ends', async () => {
    const { writer, key } = open();
    writeText(writer, 'one\ntwo\n');
    await writer.close();
    expect(await readText(key, { follow: true })).toBe('one\ntwo\n');
  });
});

/** Memory is looked at whenever so much more has come. */
const LOOK_BYTES = 8_000_000;

/** Memory that is in use: what the collector has not come to yet is none. */
function heldBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('trouble', () => {
  test('256 MB: memory and Redis stay bounded, the pod is not held up', async () => {
    const { writer, key } = open();
    const heldBefore = heldBytes();
    let heldMost = 0;
    let bytes = 0;
    let nextLook = LOOK_BYTES;
    const running = runner.start(
      {
        command: ['sh', '-c', 'yes "$0" | head -c 256000000; echo; echo last', 'x'.repeat(99)],
        args: [],
        env: { PATH: '/usr/bin:/bin' },
      },
      {
        onOutput: (stream, chunk) => {
          writer.write('c', stream, chunk);
          bytes += chunk.length;
          if (bytes < nextLook) return;
          nextLook += LOOK_BYTES;
          heldMost = Math.max(heldMost, heldBytes());
        },
      },
    );
    expect(await running.exited).toMatchObject({ exitCode: 0 });
    await writer.close();
    expect(bytes).toBeGreaterThan(256_000_000);
    expect(heldMost - heldBefore).toBeLessThan(16 * 1024 * 1024);
    expect(await redis.memory('USAGE', key, 'SAMPLES', 0)).toBeLessThan(400 * 1024);
    const lines = await read(key);
    expect(lines.at(-1)?.text).toBe('last\n');
    expect(lines.filter((line) => line.text === `${'x'.repeat(99)}\n`).length).toBeGreaterThan(
      1_000,
    );
    expect(lines.some((line) => line.droppedBytes > 0)).toBe(true);
  });

  test('Redis is killed and comes back: nothing twice, nothing lost, the follower goes on', async () => {
    const { writer, key } = open();
    const controller = new AbortController();
    const followed: string[] = [];
    const connection = server.connect();
    const following = (async () => {
      for await (const line of readPodLog(connection, key, {
        follow: true,
        signal: controller.signal,
      })) {
        followed.push(line.text);
      }
    })();
    writeText(writer, 'before\n');
    await waitFor(() => followed.length === 1);
    // What is not on disk yet would be lost with the server, which is not what this is about.
    await redis.call('WAITAOF', 1, 0, 5_000).catch(() => redis.bgrewriteaof());
    await waitFor(
      async () => !(await redis.info('persistence')).includes('aof_rewrite_in_progress:1'),
    );
    await server.kill();
    writeText(writer, 'during\n');
    await server.restart();
    await waitFor(() => followed.includes('during\n'));
    writeText(writer, 'after\n');
    await writer.close();
    await following;
    expect(followed).toEqual(['before\n', 'during\n', 'after\n']);
    expect(await readText(key)).toBe('before\nduring\nafter\n');
  });

  test('while Redis is away memory is bounded, and a marker says what was dropped', async () => {
    const { writer, key } = open(10_000);
    writeText(writer, 'first\n');
    await waitFor(async () => (await redis.exists(key)) === 1);
    await redis.call('CLIENT', 'PAUSE', 1_000, 'ALL');
    const line = `${'y'.repeat(99)}\n`;
    for (let index = 0; index < 5_000; index++) writeText(writer, line);
    writeText(writer, 'last\n');
    await writer.close();
    const lines = await read(key);
    expect(lines.at(-1)?.text).toBe('last\n');
    const dropped = lines.reduce((sum, { droppedBytes }) => sum + droppedBytes, 0);
    const kept = lines.filter((one) => one.text === line).length;
    expect(kept).toBeGreaterThan(50);
    expect(dropped).toBeGreaterThan(0);
    expect(dropped % line.length).toBe(0);
  });

  test('an error of Redis is tried again, and what was refused is not lost', async () => {
    const { writer, key } = open();
    await redis.config('SET', 'maxmemory', '1');
    try {
      writeText(writer, 'one\n');
      await waitFor(async () => (await refusedCount()) > 0);
      expect(await redis.exists(key)).toBe(0);
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
    writeText(writer, 'two\n');
    await writer.close();
    expect(await readText(key)).toBe('one\ntwo\n');
  });

  test('closing takes a bounded time when Redis does not answer', async () => {
    const own = await startRedis({ config: {} });
    const connection = own.connect();
    const writer = new PodLogWriter({ redis: connection, key: '{k}', logger });
    await connection.ping();
    await own.kill();
    writer.write('c', 'stdout', Buffer.from('x\n'));
    const beganAtMs = performance.now();
    await writer.close(200);
    expect(performance.now() - beganAtMs).toBeLessThan(2_000);
    await own.stop();
  });
});

async function scriptCount(): Promise<number> {
  const stats = await redis.info('commandstats');
  const calls = [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)];
  return calls.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function refusedCount(): Promise<number> {
  const stats = await redis.info('errorstats');
  return Number(/errorstat_OOM:count=(\d+)/.exec(stats)?.[1] ?? 0);
}
