import { describe, expect, test } from 'vitest';

import { OomKills } from '../../src/process/oomKills.ts';

describe('kills for lack of memory', () => {
  test('a count that has risen is a kill, once for each', () => {
    let count = 7;
    const kills = new OomKills(() => count);
    expect(kills.hasKilled()).toBe(false);
    count = 9;
    expect(kills.hasKilled()).toBe(true);
    expect(kills.hasKilled()).toBe(true);
    expect(kills.hasKilled()).toBe(false);
  });

  test('a kill between a start and its end is not forgotten by another start', () => {
    let count = 0;
    const kills = new OomKills(() => count);
    count = 1;
    kills.noteStart();
    expect(kills.hasKilled()).toBe(true);
  });

  test('where the kernel does not say, nothing was', () => {
    const kills = new OomKills(() => null);
    kills.noteStart();
    expect(kills.hasKilled()).toBe(false);
  });
});
