import { setImmediate } from 'node:timers/promises';

import type { ArgumentListSettings } from '@drover/shared';
import type { Arguments, Claim } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';

import type { JobPlan } from '../src/jobPlan.ts';
import { ArgumentList, ListLane } from '../src/listLane.ts';
import { SUCCEEDED, type PodEnd, type PodSink } from '../src/runtime.ts';

const FAILED: PodEnd = { ...SUCCEEDED, outcome: 'Failed', exitCode: 3, reason: 'Error' };

/** A lane on a port and an inner lane of the test's; the programs end as told. */
class Bed {
  readonly ends: PodEnd[] = [];
  readonly words: (Arguments | null)[] = [];
  readonly ended = new Set<number>();
  readonly removedLogs: number[] = [];
  readonly stops: number[] = [];
  endedCount = 0;
  /** Called while a log is being removed. */
  onRemoveLog = (): void => {};
  #inner: PodSink | null = null;
  readonly lane: ListLane;

  constructor(over: Partial<ArgumentListSettings> = {}, list: Arguments[] = [['a'], ['b']]) {
    const settings: ArgumentListSettings = { tries: 1, timeoutMs: null, halt: null, ...over };
    let words: Arguments | null = null;
    this.lane = new ListLane({
      plan: {
        uid: 'u1',
        graceMs: 30_000,
        setArguments: (_claim: Claim, given: Arguments | null) => (words = given),
      } as unknown as JobPlan,
      settings,
      list: new ArgumentList((chunk) => Promise.resolve(chunk === 0 ? list : null)),
      port: {
        readArguments: () => Promise.resolve(null),
        endedIndexCount: () => Promise.resolve(this.endedCount),
        noteEndedIndex: (_uid, index) => Promise.resolve(this.ended.add(index).size),
        removeLog: async (_uid, podNumber) => {
          this.removedLogs.push(podNumber);
          this.onRemoveLog();
        },
      },
      sink: { podEnded: (end) => this.ends.push(end) },
      createLane: (sink) => {
        this.#inner = sink;
        return {
          spent: false,
          start: () => this.words.push(words),
          stop: (graceMs) => this.stops.push(graceMs),
        };
      },
      logger: pino({ enabled: false }),
    });
  }

  /** Starts the pod of an index and waits until its program runs, or it ended without. */
  async start(index: number): Promise<void> {
    const before = this.words.length + this.ends.length;
    this.lane.start({ podNumber: index + 1, index, createdMs: 0, startMs: 0, restarts: 0 });
    await waitFor(() => this.words.length + this.ends.length > before);
  }

  /** The program that runs ends. */
  async end(end: PodEnd): Promise<void> {
    this.#inner?.podEnded(end);
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  }
}

describe('a pod', () => {
  test('gets the arguments of its index, and ends as done whatever its exit code', async () => {
    const bed = new Bed();
    await bed.start(1);
    await bed.end(FAILED);
    expect(bed.words).toEqual([['b']]);
    expect(bed.ends).toEqual([{ ...FAILED, outcome: 'Succeeded' }]);
  });

  test('without an entry fails and says so', async () => {
    const bed = new Bed();
    await bed.start(2);
    expect(bed.words).toEqual([]);
    expect(bed.ends).toMatchObject([
      { outcome: 'Failed', overlay: { message: expect.stringMatching(/no entry for index 2/) } },
    ]);
  });

  test('is run again when it fails, and keeps the log of its last try', async () => {
    const bed = new Bed({ tries: 3 });
    await bed.start(0);
    await bed.end({ ...FAILED, hasLog: true });
    await bed.end(FAILED);
    expect(bed.ends).toEqual([]);
    await bed.end({ ...FAILED, exitCode: 4 });
    expect(bed.words).toEqual([['a'], ['a'], ['a']]);
    expect(bed.removedLogs).toEqual([1]);
    expect(bed.ends).toMatchObject([{ outcome: 'Succeeded', exitCode: 4 }]);
  });

  test('that was told to stop, or was lost, is not tried again and stays failed', async () => {
    const bed = new Bed({ tries: 3, halt: { on: 'fail', count: 1 } });
    await bed.start(0);
    bed.lane.stop(500);
    await bed.end(FAILED);
    await bed.start(1);
    await bed.end({ ...FAILED, reason: 'Drained' });
    expect(bed.ends).toEqual([FAILED, { ...FAILED, reason: 'Drained' }]);
    expect(bed.ended.size).toBe(0);
  });

  test('that is told to stop between two tries is not tried again', async () => {
    const bed = new Bed({ tries: 3 });
    bed.onRemoveLog = () => bed.lane.stop(500);
    await bed.start(0);
    await bed.end({ ...FAILED, hasLog: true });
    expect(bed.words).toHaveLength(1);
    // Its log is gone already.
    expect(bed.ends).toEqual([{ ...FAILED, hasLog: false }]);
  });

  test('that takes too long is stopped, and tells how long it had', async () => {
    const bed = new Bed({ timeoutMs: 20 });
    await bed.start(0);
    await waitFor(() => bed.stops.length === 1);
    expect(bed.stops).toEqual([1_000]);
    await bed.end({ ...FAILED, exitCode: 143, overlay: { signal: 'SIGTERM' } });
    expect(bed.ends).toMatchObject([
      {
        outcome: 'Succeeded',
        exitCode: 143,
        reason: 'DeadlineExceeded',
        overlay: { message: 'stopped after 0.02 s', signal: 'SIGTERM' },
      },
    ]);
  });
});

describe('halt', () => {
  test.each([
    ['fail', FAILED, 1],
    ['fail', SUCCEEDED, 0],
    ['success', SUCCEEDED, 1],
    ['success', FAILED, 0],
    ['done', SUCCEEDED, 1],
    ['done', FAILED, 1],
  ] as const)('on %s counts the right ends (%#)', async (on, end, count) => {
    const bed = new Bed({ halt: { on, count: 2 } });
    await bed.start(0);
    await bed.end(end);
    expect(bed.ended.size).toBe(count);
    expect(bed.ends).toHaveLength(1);
  });

  test('no program starts once the number is reached', async () => {
    const bed = new Bed({ halt: { on: 'fail', count: 2 } });
    bed.endedCount = 1;
    await bed.start(0);
    expect(bed.words).toHaveLength(1);
    await bed.end(FAILED);
    bed.endedCount = 2;
    await bed.start(1);
    expect(bed.words).toHaveLength(1);
    expect(bed.ends[1]).toEqual({ ...SUCCEEDED, reason: 'Deleted' });
  });
});

describe('ArgumentList', () => {
  test('reads each chunk once, the next one ahead, and an error not for ever', async () => {
    const read: number[] = [];
    let isBroken = false;
    const list = new ArgumentList((chunk) => {
      read.push(chunk);
      if (isBroken) return Promise.reject(new Error('no Redis'));
      return Promise.resolve(Array.from({ length: 64 }, (_, i) => [String(chunk * 64 + i)]));
    });
    for (let index = 0; index < 128; index++) expect(await list.at(index)).toEqual([String(index)]);
    expect(read).toEqual([0, 1, 2]);
    isBroken = true;
    await expect(list.at(300)).rejects.toThrow('no Redis');
    isBroken = false;
    expect(await list.at(300)).toEqual(['300']);
  });
});
