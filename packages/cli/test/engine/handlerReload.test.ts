import { statSync } from 'node:fs';

import { waitFor } from '@drover/testkit';
import { pino, type Logger } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { HandlerReload, type Replaceable } from '../../src/engine/handlerReload.ts';
import type { ReplaceOutcome } from '../../src/engine/workerProcess.ts';
import { Home } from '../drover.ts';

let home: Home;
let reload: HandlerReload;
let logged: string[];
let logger: Logger;

beforeEach(async () => {
  home = await Home.make();
  logged = [];
  logger = pino(
    {},
    { write: (line) => void logged.push((JSON.parse(line) as { msg: string }).msg) },
  );
});

afterEach(async () => {
  await reload.close();
  await home.remove();
});

/** A worker whose replacements end as the test says. */
class FakeWorker implements Replaceable {
  readonly #pending: ((outcome: ReplaceOutcome) => void)[] = [];
  replacements = 0;

  async replace(): Promise<ReplaceOutcome> {
    this.replacements += 1;
    return await new Promise((resolve) => this.#pending.push(resolve));
  }

  cancelReplace(): void {
    this.settle('cancelled');
  }

  settle(outcome: ReplaceOutcome): void {
    for (const settle of this.#pending.splice(0)) settle(outcome);
  }
}

/** Watches a file of its own. */
async function watchFile(workers: readonly FakeWorker[], isStarted = true): Promise<string> {
  const path = await home.write('handlers.ts', '0');
  // So much older than the workers that it can not be taken for a change since.
  await waitFor(() => Date.now() - statSync(path).ctimeMs > 20);
  reload = new HandlerReload(() => workers, logger);
  reload.addSource(path);
  await reload.ready;
  if (isStarted) reload.start();
  return path;
}

test('the first worker tries a change, the others follow', async () => {
  const [first, second] = [new FakeWorker(), new FakeWorker()];
  await watchFile([first, second]);
  await home.write('handlers.ts', '1');
  await waitFor(() => first.replacements === 1);
  expect(second.replacements).toBe(0);
  first.settle('replaced');
  await waitFor(() => second.replacements === 1);
  second.settle('replaced');
  await waitFor(() => logged.some((line) => line.startsWith('new pods run the changed handlers')));
});

test('a change during a replacement makes that one void, in silence', async () => {
  const worker = new FakeWorker();
  await watchFile([worker]);
  await home.write('handlers.ts', '1');
  await waitFor(() => worker.replacements === 1);
  await home.write('handlers.ts', '2');
  await waitFor(() => worker.replacements === 2);
  worker.settle('replaced');
  await waitFor(() => logged.some((line) => line.startsWith('new pods run the changed handlers')));
  expect(logged.filter((line) => line.includes('can not be used'))).toEqual([]);
  expect(worker.replacements).toBe(2);
});

test('other files of the folder change nothing', async () => {
  const worker = new FakeWorker();
  await watchFile([worker]);
  await home.write('other.ts', '1');
  await home.write('handlers.ts', '1');
  await waitFor(() => worker.replacements === 1);
  worker.settle('failed');
  await waitFor(() => logged.some((line) => line.includes('can not be used')));
  expect(logged.filter((line) => line.startsWith('the handlers changed'))).toHaveLength(1);
});

test('a change that comes before all workers run waits for that', async () => {
  const worker = new FakeWorker();
  await watchFile([worker], false);
  await home.write('handlers.ts', '1');
  await waitFor(() => logged.some((line) => line.startsWith('the handlers changed')));
  expect(worker.replacements).toBe(0);
  reload.start();
  expect(worker.replacements).toBe(1);
});

test('a file that changes before it is watched is not missed', async () => {
  const worker = new FakeWorker();
  await watchFile([worker]);
  await home.write('handlers.ts', '1');
  await waitFor(() => worker.replacements === 1);
  // It is there when it becomes known, but came after the worker had looked for it.
  reload.addSource(await home.write('late.ts', '0'));
  worker.settle('failed');
  // The watcher may notice it, too, which makes one replacement more.
  await waitFor(() => worker.replacements >= 2);
  await waitFor(() => {
    worker.settle('replaced');
    return logged.some((line) => line.startsWith('new pods run the changed handlers'));
  });
  expect(logged.filter((line) => line.includes('can not be used'))).toEqual([]);
});

test('a file whose time is a tick behind the clock is not missed, and found once', async () => {
  const worker = new FakeWorker();
  const path = await home.write('handlers.ts', '0');
  vi.useFakeTimers({ toFake: ['Date'], now: statSync(path).ctimeMs + 9 });
  try {
    reload = new HandlerReload(() => [worker], logger);
  } finally {
    vi.useRealTimers();
  }
  reload.addSource(path);
  await reload.ready;
  reload.start();
  expect(worker.replacements).toBe(1);
  worker.settle('replaced');
  await waitFor(() => logged.some((line) => line.startsWith('new pods run the changed handlers')));
  expect(worker.replacements).toBe(1);
});
