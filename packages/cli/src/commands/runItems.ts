import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';

import type { DeadItem, Drover } from '@drover/sdk/client';
import {
  generateName,
  NotFoundError,
  parseJob,
  WORK_QUEUE_ANNOTATION,
  type Job,
} from '@drover/shared';

import { checkProgram } from '../consume/program.ts';
import { findEngine } from '../engine/address.ts';
import { checkInput, type Input } from '../enqueue/pump.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { onInterrupt } from '../interrupt.ts';
import { LAUNCHER } from '../launcher.ts';
import { withEngine } from '../run/engine.ts';
import { RunFollower, type RunEnd } from '../run/follower.ts';
import { ItemsFollower, type ItemCounts } from '../run/itemsFollower.ts';
import { readItemsRequest, type ItemsRequest } from '../run/itemsRequest.ts';
import { nameOf, runManifest } from '../run/manifest.ts';
import { shapeOf, styleOf, type RunOptions } from '../run/options.ts';
import { parallelismOf } from '../run/request.ts';
import { quoteForShell } from '../run/template.ts';
import { createView } from '../run/view.ts';

/** Pods that may fail, by their own fault and not that of an item, before the Job does; as in Kubernetes. */
const POD_FAILURES_TOLERATED = 6;

/** Between SIGTERM and SIGKILL, when the Job is deleted or its time is over. */
const GRACE_SECONDS = 2;

/** What came of it. */
interface ItemsEnd extends RunEnd {
  readonly counts: ItemCounts;
  readonly failures: readonly DeadItem[];
}

/** Runs a program for each item of files, as a Job with a work queue of its own, and follows it to its end. */
export async function runItems(words: readonly string[], options: RunOptions): Promise<number> {
  const request = await readItemsRequest(words, options);
  const input: Input = { type: 'lines', sources: request.sources };
  const itemCount = await checkItems(request, input, options);
  if (itemCount === 'interrupted') return EXIT.interrupted;
  if (options.dryRun === true) {
    process.stdout.write(`${request.words.map(quoteForShell).join(' ')}\n`);
    return EXIT.ok;
  }
  const address = await findEngine(options);
  if (address === null) checkLocally(request, options);
  const parallelism = parallelismOf(options) ?? availableParallelism();
  const name = options.name ?? generateName(`${nameOf(words[0] ?? '')}-`, randomInt);
  const launcher = address === null ? LAUNCHER : ['drover'];
  const command = [...launcher, 'consume', ...request.consume, '--', ...request.words];
  const shape = { ...shapeOf(options, address), name, completions: null, parallelism };
  const manifest = runManifest(command, {
    ...shape,
    retries: POD_FAILURES_TOLERATED,
    graceSeconds: GRACE_SECONDS,
    // Such as a program that is not there: the next pod would not find it either.
    fatalExitCodes: [EXIT.badInput],
    jobAnnotations: { [WORK_QUEUE_ANNOTATION]: name },
  });
  parseJob(manifest, { namespace: options.namespace ?? 'default' });

  const end = await withEngine(address, parallelism, options, async ({ drover, embedded }) => {
    const engineEnds = embedded !== null;
    return await withQueue(drover, name, { ...request, engineEnds }, async () => {
      const job = await drover.jobs.create(manifest);
      return await followItems(drover, job, { request, input, itemCount, options, engineEnds });
    });
  });
  if (options.json === true) process.stdout.write(`${JSON.stringify(summaryOf(end), null, 2)}\n`);
  return end.exitCode;
}

/** How many items there are, where that can be known. */
async function checkItems(
  { format, skipsInvalid }: ItemsRequest,
  input: Input,
  options: RunOptions,
): Promise<number | null | 'interrupted'> {
  if (skipsInvalid) return null;
  const interrupt = new AbortController();
  const release = onInterrupt(() => interrupt.abort());
  try {
    const count = await checkInput(input, format, styleOf(options), interrupt.signal);
    if (!interrupt.signal.aborted) return count;
    process.stderr.write('interrupted. Nothing was run.\n');
    return 'interrupted';
  } finally {
    release();
  }
}

/** What can only go wrong with an engine that ends with this command. @throws CliError */
function checkLocally({ words, keeps }: ItemsRequest, { env = {}, cwd = '.' }: RunOptions): void {
  if (keeps) {
    throw badInput('--keep: the engine of this run ends with it, and the work queue too', [
      '  start one that stays with `drover dev`, or say where its Redis is with --redis URL',
    ]);
  }
  checkProgram(words[0] ?? '', env['PATH'] ?? process.env['PATH'] ?? '', resolve(cwd));
}

/** Makes the work queue, and removes it in the end. */
async function withQueue(
  drover: Drover,
  name: string,
  { keeps, engineEnds }: { readonly keeps: boolean; readonly engineEnds: boolean },
  follow: () => Promise<ItemsEnd>,
): Promise<ItemsEnd> {
  await drover.workQueues.create({ metadata: { name } });
  let isOver = false;
  try {
    const end = await follow();
    isOver = true;
    return end;
  } finally {
    // With the engine all of it goes.
    if (!engineEnds && !(keeps && isOver)) await remove(drover, name);
  }
}

async function remove(drover: Drover, name: string): Promise<void> {
  try {
    await drover.workQueue(name).delete();
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

async function followItems(
  drover: Drover,
  job: Job,
  run: {
    readonly request: ItemsRequest;
    readonly input: Input;
    readonly itemCount: number | null;
    readonly options: RunOptions;
    readonly engineEnds: boolean;
  },
): Promise<ItemsEnd> {
  const { request, input, itemCount, options, engineEnds } = run;
  const { name } = job.metadata;
  const { attempts, format, skipsInvalid, results, keeps } = request;
  const style = styleOf(options);
  const view = createView(`job/${name}`, style);
  const asJson = options.json === true;
  const pods = new ItemsFollower({
    drover,
    job,
    view,
    pump: {
      queue: name,
      input,
      format,
      itemOptions: attempts === null ? {} : { attempts },
      itemCount,
      skipsInvalid,
    },
    printsOutput: options.output && !asJson && results === null,
    results: asJson ? null : results,
  });
  const follower = new RunFollower(
    drover,
    job,
    { view, pods },
    { timeoutMs: options.timeout ?? null, engineEnds, isShown: style !== 'none' },
  );
  let isOver = false;
  try {
    const end = await follower.follow();
    isOver = true;
    const failures: DeadItem[] = [];
    if (asJson) for await (const item of drover.workQueue(name).deadLetters()) failures.push(item);
    if (keeps) view.note(`its items stay: \`drover queue stats ${name}\`, results, dead, delete`);
    return { ...end, counts: pods.counts, failures };
  } finally {
    // Without the rest of its items it can't go on.
    if (!isOver && !engineEnds) await drover.jobs.delete(job).catch(() => undefined);
  }
}

function summaryOf({ job, counts, failures }: ItemsEnd): object {
  return { items: counts, failures: failures.toSorted((a, b) => a.id - b.id), job };
}
