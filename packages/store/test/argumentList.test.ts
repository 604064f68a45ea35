import { expect, test } from 'vitest';

import { ARGUMENTS_PER_CHUNK } from '../src/argumentList.ts';
import { StoreBed } from './support/bed.ts';

let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

test('a list comes back chunk by chunk, whatever is in it', async () => {
  const list = Array.from({ length: 10_000 }, (_, i) => [`-n${i}`, `ü "'$(x)\n\\`]);
  await bed.shard.writeArguments('u1', list);
  const last = Math.floor(9_999 / ARGUMENTS_PER_CHUNK);
  for (const chunk of [0, 1, 63, 64, last]) {
    const from = chunk * ARGUMENTS_PER_CHUNK;
    expect(await bed.shard.readArguments('u1', chunk)).toEqual(
      list.slice(from, from + ARGUMENTS_PER_CHUNK),
    );
  }
  expect(await bed.shard.readArguments('u1', last + 1)).toBeNull();
  expect(await bed.shard.readArguments('u2', 0)).toBeNull();
});

test('a list whose Job is never created goes by itself, else with the Job', async () => {
  const { args, ended } = bed.shard.keys.job('u1');
  await bed.shard.writeArguments('u1', [['a']]);
  expect(await bed.redis.ttl(args)).toBeGreaterThan(3_600);
  await bed.createJob({ uid: 'u1', name: 'a' });
  await bed.shard.keepArguments('u1');
  expect(await bed.redis.ttl(args)).toBe(-1);
  await bed.shard.noteEndedIndex('u1', 0);

  await bed.shard.deleteJob('u1');
  while ((await bed.shard.purgeJob('u1')) !== 'purged');
  expect(await bed.redis.exists(args, ended)).toBe(0);
});

test('a list that a pod reads stays, though the client died before it could say that its Job is created', async () => {
  await bed.shard.writeArguments('u1', [['a']]);
  await bed.shard.readArguments('u1', 0);
  expect(await bed.redis.ttl(bed.shard.keys.job('u1').args)).toBe(-1);
});

test('an index that ended is counted once', async () => {
  expect(await bed.shard.endedIndexCount('u1')).toBe(0);
  expect(await bed.shard.noteEndedIndex('u1', 7)).toBe(1);
  expect(await bed.shard.noteEndedIndex('u1', 7)).toBe(1);
  expect(await bed.shard.noteEndedIndex('u1', 0)).toBe(2);
  expect(await bed.shard.endedIndexCount('u1')).toBe(2);
});
