import { describe, expect, test } from 'vitest';

import type { WorkerOptions } from '../src/index.ts';
import { resolveOptions } from '../src/resolveOptions.ts';

const resolve = (options: Partial<WorkerOptions>) =>
  resolveOptions({ connection: 'redis://127.0.0.1', ...options });

describe('waits between restarts', () => {
  test('are those of Kubernetes unless told otherwise', () => {
    expect(resolve({}).crashLoop).toEqual({
      baseMs: 10_000,
      capMs: 300_000,
      resetAfterMs: 600_000,
    });
    expect(resolve({ crashLoop: { baseMs: 50 } }).crashLoop).toMatchObject({
      baseMs: 50,
      capMs: 300_000,
    });
  });

  test.each([
    [{ baseMs: 0 }, 'crashLoop.baseMs 0: must be more than 0'],
    [{ baseMs: 20_000, capMs: 10_000 }, 'crashLoop.capMs 10000: must be at least baseMs'],
  ])('of %j are refused', (crashLoop, message) => {
    expect(() => resolve({ crashLoop })).toThrow(message);
  });
});

test('a time between two looks at volumes that is none is refused', () => {
  expect(() => resolve({ volumes: { checkMs: 0 } })).toThrow(
    'volumes.checkMs 0: must be more than 0',
  );
});

describe('the process helper', () => {
  test('is the one that was asked for, or that works', () => {
    expect(resolve({}).processHelper).toBe('auto');
    expect(resolve({ processHelper: 'javascript' }).processHelper).toBe('javascript');
  });

  test('is none that there is not', () => {
    expect(() => resolve({ processHelper: 'rust' as 'native' })).toThrow(
      'processHelper "rust": must be one of auto, native, javascript',
    );
    process.env['DROVER_PROCESS_HELPER'] = 'rust';
    try {
      expect(() => resolve({})).toThrow('DROVER_PROCESS_HELPER: "rust" is not one of auto');
    } finally {
      delete process.env['DROVER_PROCESS_HELPER'];
    }
  });
});
