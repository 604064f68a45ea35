import type { PodDetails } from '@drover/store';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { PodDetailsWriter } from '../src/podDetailsWriter.ts';
import type { DetailsPort } from '../src/shardPort.ts';

type Note = Parameters<DetailsPort['writeContainers']>[0];

const slot = { uid: 'u1', shard: 0, slot: 3, session: '00112233445566aa' };
const notes: Note[] = [];
let count = 0;
/** What the next writes wait for. */
let answer: () => Promise<'written'>;
let writer: PodDetailsWriter;

beforeEach(() => {
  vi.useFakeTimers();
  notes.length = 0;
  count = 0;
  answer = () => Promise.resolve('written');
  writer = new PodDetailsWriter({
    port: {
      writeContainers: (note) => {
        notes.push(note);
        return answer();
      },
    },
    slot,
    podNumber: 7,
    read: (): PodDetails => ({ containers: [{ name: `${count}`, ready: true, restartCount: 0 }] }),
    logger: pino({ level: 'silent' }),
  });
});

afterEach(() => {
  vi.useRealTimers();
});

const written = () => notes.map(({ details }) => details.containers[0]?.name);

async function change(times = 1): Promise<void> {
  for (let i = 0; i < times; i++) {
    count += 1;
    writer.changed();
    await vi.advanceTimersByTimeAsync(10);
  }
}

describe('details of a running pod', () => {
  test('are written at most every 100 ms, the newest', async () => {
    await change(25);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(written()).toEqual(['10', '20', '25']);
    expect(notes[0]).toMatchObject({ uid: 'u1', slot: 3, podNumber: 7, ttlMs: 3_600_000 });
  });

  test('are written one at a time, however slow Redis is', async () => {
    const slow = Promise.withResolvers<'written'>();
    answer = () => slow.promise;
    await change();
    await vi.advanceTimersByTimeAsync(1_000);
    await change(3);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(written()).toEqual(['1']);
    slow.resolve('written');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(written()).toEqual(['1', '4']);
  });

  test('are written again before they expire, and not otherwise', async () => {
    await change();
    await vi.advanceTimersByTimeAsync(100 + 29 * 60_000);
    expect(notes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2 * 60_000);
    expect(notes).toHaveLength(2);
    // A change does not wait for that.
    await change();
    await vi.advanceTimersByTimeAsync(100);
    expect(written()).toEqual(['1', '1', '2']);
  });

  test('that can not be written are left out', async () => {
    answer = () => Promise.reject(new Error('no room'));
    await change();
    await vi.advanceTimersByTimeAsync(200);
    answer = () => Promise.resolve('written');
    await change();
    await vi.advanceTimersByTimeAsync(200);
    expect(written()).toEqual(['1', '2']);
  });
});

describe('the end of a pod', () => {
  test('before anything was written leaves nothing', async () => {
    await change();
    writer.end();
    await change(5);
    await vi.advanceTimersByTimeAsync(10_000_000);
    expect(notes).toEqual([]);
  });

  test('is written for as long as its record may not be there yet', async () => {
    await change();
    await vi.advanceTimersByTimeAsync(200);
    count = 9;
    writer.end();
    await vi.advanceTimersByTimeAsync(10_000_000);
    expect(written()).toEqual(['1', '9']);
    expect(notes[1]?.ttlMs).toBe(10_000);
  });
});
