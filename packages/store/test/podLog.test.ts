import { startRedis, uniquePrefix, waitFor, type TestRedis } from '@drover/testkit';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  formatLogTime,
  LogField,
  LogKind,
  readPodLog,
  type PodLogLine,
  type ReadPodLogOptions,
} from '../src/podLog.ts';

const T0 = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
let server: TestRedis;
let redis: Redis;
let key: string;

beforeAll(async () => {
  server = await startRedis();
  redis = server.connect();
});
afterAll(() => server.stop());
beforeEach(() => {
  key = `{${uniquePrefix()}}`;
});

async function add(kind: string, data: string | Buffer, atMs = 0, container = 'c'): Promise<void> {
  const fields = [LogField.container, container, LogField.kind, kind];
  await redis.xadd(key, '*', ...fields, LogField.timeMs, T0 + atMs, LogField.data, data);
}

async function read(options: ReadPodLogOptions = {}): Promise<PodLogLine[]> {
  const lines: PodLogLine[] = [];
  // A follower blocks its connection.
  const connection = options.follow === true ? server.connect() : redis;
  for await (const line of readPodLog(connection, key, options)) lines.push(line);
  return lines;
}

async function texts(options: ReadPodLogOptions = {}): Promise<string[]> {
  return (await read(options)).map((line) => line.text);
}

describe('reading', () => {
  test('a log that does not exist is empty', async () => {
    expect(await texts()).toEqual([]);
  });

  test('entries become lines', async () => {
    await add(LogKind.stdout, 'a\n\nb\n');
    await add(LogKind.stderr, 'c');
    const lines = await read();
    const line = (stream: string, text: string) => {
      const bytes = Buffer.from(text);
      return { container: 'c', stream, timeMs: T0, text, bytes, droppedBytes: 0 };
    };
    expect(lines).toEqual([
      line('stdout', 'a\n'),
      line('stdout', '\n'),
      line('stdout', 'b\n'),
      line('stderr', 'c'),
    ]);
  });

  test('a character that was cut in two is whole again', async () => {
    const bytes = Buffer.from('grün\n');
    await add(LogKind.stdout, bytes.subarray(0, 3));
    await add(LogKind.stdout, bytes.subarray(3));
    expect((await texts()).join('')).toBe('grün\n');
    expect(Buffer.concat((await read()).map((line) => line.bytes))).toEqual(bytes);
  });

  test('bytes that are no UTF-8 come as they are, with a time before them too', async () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x0a, 0x80, 0xc3]);
    await add(LogKind.stdout, bytes);
    expect(Buffer.concat((await read()).map((line) => line.bytes))).toEqual(bytes);
    const [first] = await read({ timestamps: true });
    const stamp = `${formatLogTime(T0)} `;
    expect(first?.bytes).toEqual(Buffer.concat([Buffer.from(stamp), bytes.subarray(0, 3)]));
    const cut = await read({ limitBytes: 4 });
    expect(Buffer.concat(cut.map((line) => line.bytes))).toEqual(bytes.subarray(0, 4));
  });

  test('a marker says how much was dropped', async () => {
    await add(LogKind.dropped, '1234');
    await add(LogKind.stdout, 'a\n');
    const lines = await read();
    expect(lines.map(({ text, droppedBytes }) => [text, droppedBytes])).toEqual([
      ['', 1234],
      ['a\n', 0],
    ]);
  });

  test('kinds of a later version are passed over', async () => {
    await add('?', 'what');
    await add(LogKind.stdout, 'a\n');
    expect(await texts()).toEqual(['a\n']);
  });

  describe('options', () => {
    beforeEach(async () => {
      await add(LogKind.stdout, 'one\ntwo\n', 0);
      await add(LogKind.stdout, 'thr', 1_000);
      await add(LogKind.stdout, 'ee\nfour\n', 2_000);
      await add(LogKind.stdout, 'other\n', 3_000, 'd');
      await add(LogKind.end, '', 4_000, '');
    });

    const cases: { name: string; options: ReadPodLogOptions; want: string[] }[] = [
      { name: 'tailLines 0', options: { tailLines: 0 }, want: [] },
      {
        name: 'tailLines counts lines, not pieces',
        options: { tailLines: 3 },
        want: ['thr', 'ee\n', 'four\n', 'other\n'],
      },
      {
        name: 'tailLines beyond the log',
        options: { tailLines: 99 },
        want: ['one\n', 'two\n', 'thr', 'ee\n', 'four\n', 'other\n'],
      },
      { name: 'one container', options: { container: 'd' }, want: ['other\n'] },
      { name: 'since, inclusive', options: { sinceMs: T0 + 3_000 }, want: ['other\n'] },
      { name: 'since, just after', options: { sinceMs: T0 + 3_001 }, want: [] },
      { name: 'limitBytes cuts a line', options: { limitBytes: 6 }, want: ['one\n', 'tw'] },
      { name: 'limitBytes at a boundary', options: { limitBytes: 8 }, want: ['one\n', 'two\n'] },
      {
        name: 'limitBytes ends a follower too',
        options: { limitBytes: 8, follow: true },
        want: ['one\n', 'two\n'],
      },
      {
        name: 'timestamps stand before lines, not pieces',
        options: { timestamps: true, tailLines: 3, container: 'c' },
        want: [
          '2026-01-02T03:04:05.006000000Z two\n',
          '2026-01-02T03:04:06.006000000Z thr',
          'ee\n',
          '2026-01-02T03:04:07.006000000Z four\n',
        ],
      },
    ];
    test.each(cases)('$name', async ({ options, want }) => {
      expect(await texts(options)).toEqual(want);
    });
  });
});

describe('following', () => {
  test('gives what comes and ends at the end marker', async () => {
    await add(LogKind.stdout, 'a\n');
    const got: string[] = [];
    const following = (async () => {
      for await (const line of readPodLog(server.connect(), key, { follow: true }))
        got.push(line.text);
    })();
    await waitFor(() => got.length === 1);
    await add(LogKind.stdout, 'b\nc\n');
    await waitFor(() => got.length === 3);
    await add(LogKind.end, '');
    await following;
    expect(got).toEqual(['a\n', 'b\n', 'c\n']);
  });

  test('without an end marker it ends when the pod has ended, with the last output', async () => {
    await add(LogKind.stdout, 'a\n');
    let asked = 0;
    const hasEnded = async (): Promise<boolean> => {
      asked += 1;
      // The last output comes after the end of the pod is known.
      if (asked === 1) await add(LogKind.stdout, 'b\n');
      return true;
    };
    const lines = await read({ follow: true, hasEnded });
    expect(lines.map((line) => line.text)).toEqual(['a\n', 'b\n']);
    expect(asked).toBe(2);
  });

  test('of a pod that wrote nothing it ends too', async () => {
    const hasEnded = (): Promise<boolean> => Promise.resolve(true);
    expect(await read({ follow: true, hasEnded })).toEqual([]);
  });

  test('the signal ends it at once, without an error', async () => {
    const controller = new AbortController();
    const got: string[] = [];
    await add(LogKind.stdout, 'a\n');
    const following = (async () => {
      const options = { follow: true, signal: controller.signal };
      for await (const line of readPodLog(server.connect(), key, options)) got.push(line.text);
    })();
    await waitFor(() => got.length === 1);
    const beganAtMs = performance.now();
    controller.abort();
    await following;
    expect(performance.now() - beganAtMs).toBeLessThan(500);
  });
});

test('times have nine digits, as those of kubelet', () => {
  expect(formatLogTime(0)).toBe('1970-01-01T00:00:00.000000000Z');
});
