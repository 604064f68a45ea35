import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ENTRY_OVERHEAD_BYTES, entryBytes, LogQueue } from '../../src/logs/logQueue.ts';

const T0 = 1_000_000;

function queueOf(
  ...writes: [stream: 'stdout' | 'stderr', text: string, atMs?: number][]
): LogQueue {
  const queue = new LogQueue(256 * 1024, 100);
  for (const [stream, text, atMs = 0] of writes)
    queue.push('c', stream, Buffer.from(text), T0 + atMs);
  return queue;
}

function taken(queue: LogQueue, isLast = true): string[] {
  return queue.take(isLast).map(({ kind, data }) => `${kind}:${data.toString()}`);
}

describe('LogQueue', () => {
  test('lines of one stream share an entry', () => {
    expect(taken(queueOf(['stdout', 'a\n'], ['stdout', 'b\nc\n']))).toEqual(['o:a\nb\nc\n']);
  });

  test('the order of the streams is kept', () => {
    const queue = queueOf(['stdout', 'a\n'], ['stderr', 'b\n'], ['stdout', 'c\n']);
    expect(taken(queue)).toEqual(['o:a\n', 'e:b\n', 'o:c\n']);
  });

  test('a line in pieces stays whole across another stream', () => {
    const queue = queueOf(['stdout', 'ab'], ['stderr', 'x\n'], ['stdout', 'cd\nrest']);
    expect(taken(queue)).toEqual(['e:x\n', 'o:abcd\nrest']);
  });

  test('output more than the merging time apart has entries and times of its own', () => {
    const entries = queueOf(['stdout', 'a\n'], ['stdout', 'b\n', 100], ['stdout', 'c\n', 101]).take(
      true,
    );
    expect(entries.map(({ timeMs, data }) => [timeMs - T0, data.toString()])).toEqual([
      [0, 'a\nb\n'],
      [101, 'c\n'],
    ]);
  });

  test('a part of a line waits for one take and goes with the second', () => {
    const queue = queueOf(['stdout', 'a\nwor']);
    expect(taken(queue, false)).toEqual(['o:a\n']);
    expect(queue.isEmpty).toBe(false);
    expect(taken(queue, false)).toEqual(['o:wor']);
    expect(queue.isEmpty).toBe(true);
  });

  test('a part of a line that is completed in time goes whole', () => {
    const queue = queueOf(['stdout', 'wor']);
    expect(taken(queue, false)).toEqual([]);
    queue.push('c', 'stdout', Buffer.from('ld\n'), T0);
    expect(taken(queue, false)).toEqual(['o:world\n']);
  });

  test('entries are at most 16 KiB and end with a line where there is one', () => {
    const line = `${'x'.repeat(99)}\n`;
    const entries = queueOf(['stdout', line.repeat(1_000)]).take(true);
    expect(entries.length).toBe(Math.ceil(1_000 / Math.floor(16_384 / 100)));
    for (const { data } of entries) {
      expect(data.length).toBeLessThanOrEqual(16_384);
      expect(data.at(-1)).toBe(0x0a);
    }
  });

  test('a line longer than an entry is broken', () => {
    const sizes = queueOf(['stdout', `${'x'.repeat(40_000)}\n`])
      .take(true)
      .map(({ data }) => data.length);
    expect(sizes).toEqual([16_384, 16_384, 40_001 - 2 * 16_384]);
  });

  test('what is too much is dropped from the old end, and counted', () => {
    const queue = new LogQueue(4_000, 100);
    for (let index = 0; index < 1_000; index++) {
      queue.push('c', 'stdout', Buffer.from(`line ${index}\n`), T0);
    }
    const [marker, ...entries] = queue.take(true);
    const kept = entries.map(({ data }) => data.toString()).join('');
    const all = Array.from({ length: 1_000 }, (_, index) => `line ${index}\n`).join('');
    expect(all.endsWith(kept)).toBe(true);
    expect(marker).toMatchObject({ kind: 'd', container: 'c' });
    expect(Number(marker?.data.toString())).toBe(all.length - kept.length);
    expect(entries.reduce((sum, entry) => sum + entryBytes(entry), 0)).toBeLessThanOrEqual(4_000);
    // Counted once.
    expect(queue.take(true)).toEqual([]);
  });

  test('one container does not push out another', () => {
    const queue = new LogQueue(4_000, 100);
    queue.push('quiet', 'stdout', Buffer.from('hello\n'), T0);
    for (let index = 0; index < 1_000; index++) {
      queue.push('loud', 'stdout', Buffer.from(`line ${index}\n`), T0);
    }
    const entries = queue.take(true);
    expect(entries.find(({ container }) => container === 'quiet')?.data.toString()).toBe('hello\n');
    expect(entries.filter(({ kind }) => kind === 'd').map(({ container }) => container)).toEqual([
      'loud',
    ]);
  });

  test('the caller may use its buffer again', () => {
    const queue = new LogQueue(4_000, 100);
    const buffer = Buffer.from('one\ntw');
    queue.push('c', 'stdout', buffer, T0);
    buffer.fill('#');
    expect(taken(queue)).toEqual(['o:one\ntw']);
  });

  test('entries that were taken are not written over by later output', () => {
    const queue = new LogQueue(1_000, 100);
    const first = Array.from({ length: 5 }, (_, index) => {
      queue.push('c', 'stdout', Buffer.from(`${String(index).repeat(400)}\n`), T0);
      return queue.take(true);
    });
    for (let index = 0; index < 50; index++)
      queue.push('c', 'stdout', Buffer.from(`${'z'.repeat(99)}\n`), T0);
    expect(first.flat().some(({ data }) => data.includes('z'))).toBe(false);
  });

  test('whatever is written, each stream comes out as it was, less what was dropped', () => {
    const write = fc.record({
      stream: fc.constantFrom('stdout' as const, 'stderr' as const),
      text: fc.oneof(
        fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 30 }),
        fc.integer({ min: 1, max: 900 }).map((count) => 'x'.repeat(count)),
      ),
      gapMs: fc.integer({ min: 0, max: 150 }),
      takes: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(write, { maxLength: 40 }),
        fc.integer({ min: 600, max: 5_000 }),
        (writes, tail) => {
          const queue = new LogQueue(tail, 100);
          const sent = { o: '', e: '' };
          const got = { o: '', e: '' };
          let dropped = 0;
          let nowMs = T0;
          const take = (isLast: boolean): void => {
            let bytes = 0;
            for (const entry of queue.take(isLast)) {
              const text = entry.data.toString();
              if (entry.kind === 'd') dropped += Number(text);
              else {
                got[entry.kind as 'o' | 'e'] += text;
                bytes += text.length + ENTRY_OVERHEAD_BYTES;
              }
            }
            expect(bytes).toBeLessThanOrEqual(tail);
          };
          for (const { stream, text, gapMs, takes } of writes) {
            nowMs += gapMs;
            sent[stream === 'stdout' ? 'o' : 'e'] += text;
            queue.push('c', stream, Buffer.from(text), nowMs);
            if (takes) take(false);
          }
          take(true);
          expect(queue.isEmpty).toBe(true);
          expect(got.o.length + got.e.length + dropped).toBe(sent.o.length + sent.e.length);
          expect(dropped === 0 ? got : sent).toEqual(sent);
        },
      ),
    );
  });
});
