import { expect, test } from 'vitest';
import { Priorities, type PriorityStore } from '../src/priorities.ts';

/** A store without classes that says how often it was read. */
function countingStore() {
  let reads = 0;
  const list = async () => {
    reads += 1;
    return { objects: [], continue: null };
  };
  const store = {
    shardOf: () => ({ objects: { list } }),
    usesPriorities: async () => false,
    notePriorities: async () => undefined,
  } as unknown as PriorityStore;
  return { store, reads: () => reads };
}

test('who asks while they are being read, or soon after, does not read them again', async () => {
  let nowMs = 0;
  const { store, reads } = countingStore();
  const priorities = new Priorities(store, () => nowMs);
  priorities.refresh();
  expect(reads()).toBe(1);
  expect(await priorities.of('')).toMatchObject({ value: 0 });
  expect(await priorities.inQueue()).toBeNull();
  priorities.refresh();
  expect(reads()).toBe(1);
  nowMs = 1_001;
  priorities.refresh();
  expect(await priorities.inQueue()).toBeNull();
  expect(reads()).toBe(2);
});

test('a refresh that fails is told to whoever asks, and is tried again', async () => {
  let isAway = true;
  const { store, reads } = countingStore();
  const failing = {
    ...store,
    usesPriorities: async () => {
      if (isAway) throw new Error('away');
      return false;
    },
  } as PriorityStore;
  const priorities = new Priorities(failing);
  priorities.refresh();
  await expect(priorities.of('')).rejects.toThrow('away');
  isAway = false;
  expect(await priorities.of('')).toMatchObject({ value: 0 });
  expect(reads()).toBe(2);
});

test('a class that was made while they were being read is found', async () => {
  let nowMs = 0;
  const classes: object[] = [];
  const answers: (() => void)[] = [];
  const { store } = countingStore();
  const list = async () => {
    const objects = [...classes];
    await new Promise<void>((resolve) => answers.push(resolve));
    return { objects, continue: null };
  };
  const slow = { ...store, shardOf: () => ({ objects: { list } }) } as unknown as PriorityStore;
  const priorities = new Priorities(slow, () => nowMs);
  priorities.refresh();
  answers.shift()?.();
  expect(await priorities.of('')).toMatchObject({ value: 0 });

  // Somebody else looks for another one that was not there.
  nowMs = 500;
  const other = priorities.of('other');
  await new Promise((resolve) => setImmediate(resolve));
  expect(answers).toHaveLength(1);
  classes.push({
    uid: 'u',
    object: JSON.stringify({ metadata: { name: 'urgent' }, value: 7 }),
    resourceVersion: 1,
    name: 'urgent',
    namespace: '',
    createdMs: 0,
    deletedMs: null,
  });
  nowMs = 502;
  const asked = priorities.of('urgent');
  await new Promise((resolve) => setImmediate(resolve));
  while (answers.length > 0) {
    answers.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await asked).toMatchObject({ value: 7 });
  expect(await other).toBeNull();
});
