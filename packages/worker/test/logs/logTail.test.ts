import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LogTail } from '../../src/logs/logTail.ts';

describe('LogTail', () => {
  test('nothing goes while the tail fits, to the byte', () => {
    const tail = new LogTail(100);
    expect(tail.add([{ id: '1', container: 'c', bytes: 60 }])).toEqual({ minId: null, ids: [] });
    expect(tail.add([{ id: '2', container: 'c', bytes: 40 }])).toEqual({ minId: null, ids: [] });
    expect(tail.add([{ id: '3', container: 'c', bytes: 1 }])).toEqual({ minId: '2', ids: [] });
  });

  test('older entries between those of a quiet container go one by one', () => {
    const tail = new LogTail(100);
    tail.add([
      { id: '1', container: 'quiet', bytes: 10 },
      { id: '2', container: 'loud', bytes: 60 },
      { id: '3', container: 'loud', bytes: 40 },
    ]);
    expect(tail.add([{ id: '4', container: 'loud', bytes: 70 }])).toEqual({
      minId: null,
      ids: ['2', '3'],
    });
  });

  test('the newest entry stays, however large', () => {
    const tail = new LogTail(10);
    tail.add([{ id: '1', container: 'c', bytes: 10 }]);
    expect(tail.add([{ id: '2', container: 'c', bytes: 50 }])).toEqual({ minId: '2', ids: [] });
  });

  test('the stream always is the newest entries of each container that fit', () => {
    const entry = fc.record({
      container: fc.constantFrom('a', 'b', 'c'),
      bytes: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(
        fc.array(fc.array(entry, { minLength: 1, maxLength: 6 }), { maxLength: 15 }),
        (batches) => {
          const tail = new LogTail(100);
          let stream: { id: number; container: string; bytes: number }[] = [];
          let lastId = 0;
          for (const batch of batches) {
            const added = batch.map((one) => ({ ...one, id: ++lastId }));
            stream.push(...added);
            const trim = tail.add(added.map((one) => ({ ...one, id: String(one.id) })));
            const minId = Number(trim.minId ?? 0);
            const before = stream;
            stream = stream.filter(({ id }) => id >= minId && !trim.ids.includes(String(id)));
            for (const container of ['a', 'b', 'c']) {
              const kept = stream.filter((one) => one.container === container);
              const bytes = kept.reduce((sum, one) => sum + one.bytes, 0);
              expect(bytes).toBeLessThanOrEqual(100);
              // No more was removed than had to be, and from the old end.
              const all = before.filter((one) => one.container === container);
              expect(all.slice(all.length - kept.length)).toEqual(kept);
              const next = all[all.length - kept.length - 1];
              expect(bytes + (next?.bytes ?? 101)).toBeGreaterThan(100);
            }
          }
        },
      ),
    );
  });
});
