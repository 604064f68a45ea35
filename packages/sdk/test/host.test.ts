/** Every way into Drover refuses a machine that it does not run on, before it looks at options. */
import { createController, createWorker, Drover, UnsuitableHostError } from '@drover/sdk';
import { afterEach, expect, test } from 'vitest';

const platform = process.platform;

afterEach(() => {
  pretend(platform);
});

test.each([
  ['Drover', () => new Drover()],
  ['createController', () => createController({ connection: '', concurrency: -1 })],
  ['createWorker', () => createWorker({ connection: '', pool: '-' })],
])('%s refuses Windows', (_name, enter) => {
  pretend('win32');
  expect(enter).toThrow(UnsuitableHostError);
  expect(enter).toThrow(/^Drover does not run on Windows: /);
  pretend(platform);
  expect(enter).not.toThrow(UnsuitableHostError);
});

/** Has this process believe that it runs on another system. */
function pretend(value: string): void {
  Object.defineProperty(process, 'platform', { value, configurable: true, enumerable: true });
}
