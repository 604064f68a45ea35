import type { WatchEntry } from '@drover/store';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { PodFollower, type PodChanges } from '../../src/watch/podFollower.ts';

const entry = fc.record({ uid: fc.constantFrom('a', 'b'), from: fc.nat(5_000), more: fc.nat(900) });

/** Takes everything that waits. */
async function takeAll(follower: PodFollower): Promise<PodChanges[]> {
  const taken: PodChanges[] = [];
  while (!follower.isQuiet) {
    taken.push((await follower.take(null, new AbortController().signal))!);
  }
  return taken;
}

test('what is taken has every change that was told, in parts that follow each other', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(entry, { maxLength: 5 }), { maxLength: 300 }),
      async (told) => {
        const follower = new PodFollower();
        let version = 0;
        const entries: WatchEntry[] = [];
        for (const some of told) {
          const batch = some.map(({ uid, from, more }): WatchEntry => {
            version += 1;
            return { kind: 'Pods', uid, from, to: from + more, resourceVersion: version };
          });
          entries.push(...batch);
          follower.tell(batch);
        }
        const parts = await takeAll(follower);
        // However much there was, it takes little room.
        expect(parts.length).toBeLessThanOrEqual(64);
        expect(parts.map(({ upTo }) => upTo)).toEqual(
          [...new Set(parts.map(({ upTo }) => upTo))].toSorted((a, b) => a - b),
        );
        expect(parts.at(-1)?.upTo ?? 0).toBe(version);
        for (const one of entries) {
          if (one.kind !== 'Pods') continue;
          // In the part of its time.
          const part = parts.find(({ upTo }) => upTo >= one.resourceVersion);
          const range = part?.ranges.get(one.uid);
          expect(range?.from).toBeLessThanOrEqual(one.from);
          expect(range?.to).toBeGreaterThanOrEqual(one.to);
        }
      },
    ),
  );
});

test('few changes are one part, many are several, and so are those of who does not take them', async () => {
  const follower = new PodFollower();
  const tell = (n: number, from: number, to: number): void =>
    follower.tell([{ kind: 'Pods', uid: 'a', from, to, resourceVersion: n }]);
  for (let n = 1; n <= 20; n++) tell(n, n, n);
  expect(await takeAll(follower)).toHaveLength(1);
  for (let n = 1; n <= 20; n++) tell(20 + n, 1_000 * n, 1_000 * n + 999);
  const parts = await takeAll(follower);
  expect(parts).toHaveLength(10);
  expect(parts[0]).toMatchObject({
    upTo: 22,
    ranges: new Map([['a', { from: 1_000, to: 2_999 }]]),
  });
});
