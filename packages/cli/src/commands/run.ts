import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';

import { parseJob, type Job } from '@drover/shared';

import { findEngine } from '../engine/address.ts';
import { badInput, CliError, reportError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { withEngine } from '../run/engine.ts';
import { RunFollower } from '../run/follower.ts';
import { refuseWithoutItems } from '../run/itemsRequest.ts';
import { listManifest, openJoblog } from '../run/list.ts';
import { ListFollower } from '../run/listFollower.ts';
import type { ListPlan } from '../run/listPlan.ts';
import { makeResultsDir } from '../run/listPrinter.ts';
import { runManifest } from '../run/manifest.ts';
import { shapeOf, styleOf, type RunOptions } from '../run/options.ts';
import { PodPrinter } from '../run/podPrinter.ts';
import { isList, parallelismOf, readRequest, type RunRequest } from '../run/request.ts';
import { quoteForShell } from '../run/template.ts';
import { createView, type ProgressStyle } from '../run/view.ts';

/** Printing the output of more pods than this costs more than it is worth. */
const MAX_PRINTED_PODS = 10_000;

/**
 * Runs a program as a Job, or once for each of its arguments, and follows it to its end.
 *
 * @param problems - What is wrong with the values of the options.
 */
export async function runCommand(
  words: readonly string[],
  options: RunOptions,
  problems: readonly string[],
): Promise<number> {
  if (options.items !== undefined) {
    const { runItems } = await import('./runItems.ts');
    if (problems.length > 0) throw badInput(problems[0] ?? '', problems.slice(1));
    return await runItems(words, options);
  }
  refuseWithoutItems(options);
  if (!isList(words, options)) return await run(words, options, problems);
  try {
    return await run(words, options, problems);
  } catch (error) {
    // 1 to 101 say how many failed: what went wrong otherwise has a code of its own.
    const [first = '', ...rest] = reportError(error).lines;
    throw Object.assign(new CliError(first, EXIT.badList, rest), { cause: error });
  }
}

async function run(
  words: readonly string[],
  options: RunOptions,
  [problem, ...others]: readonly string[],
): Promise<number> {
  if (problem !== undefined) throw badInput(problem, others);
  const request = await readRequest(words, options);
  return request.type === 'single'
    ? await runSingle(request, options)
    : await runList(request.plan, options);
}

async function runSingle(
  request: RunRequest & { type: 'single' },
  options: RunOptions,
): Promise<number> {
  const { words, completions } = request;
  if (options.dryRun === true) {
    process.stdout.write(`${words.map(quoteForShell).join(' ')}\n`);
    return EXIT.ok;
  }
  const address = await findEngine(options);
  const parallelism = parallelismOf(options) ?? 1;
  const shape = { ...shapeOf(options, address), completions, parallelism };
  const manifest = runManifest(words, shape);
  // What is wrong with the options is told before anything is started.
  parseJob(manifest, { namespace: options.namespace ?? 'default' });

  const end = await withEngine(address, parallelism, options, async ({ drover, embedded }) => {
    const job = await drover.jobs.create(manifest);
    const isBatch = completions > 1 || parallelism > 1;
    const output = outputOf(options, completions, isBatch);
    const view = createView(
      titleOf(job),
      isBatch || options.json === true ? styleOf(options) : 'none',
    );
    const pods = new PodPrinter({ drover, job, view, output });
    const follower = new RunFollower(
      drover,
      job,
      { view, pods },
      {
        timeoutMs: options.timeout ?? null,
        engineEnds: embedded !== null,
        isShown: process.stderr.isTTY && output !== 'stream',
      },
    );
    return await follower.follow();
  });
  if (options.json === true) process.stdout.write(`${JSON.stringify(end.job, null, 2)}\n`);
  return end.exitCode;
}

async function runList(plan: ListPlan, options: RunOptions): Promise<number> {
  if (options.dryRun === true) {
    for (const item of plan.items)
      process.stdout.write(`${plan.tagOf(item)}${plan.textOf(item)}\n`);
    return EXIT.ok;
  }
  const resultsDir = options.results === undefined ? null : resolve(options.results);
  if (resultsDir !== null) makeResultsDir(resultsDir);
  const joblog = openJoblog(options.joblog, plan);
  if (plan.items.length === 0) {
    const why = plan.former === null ? 'no arguments' : 'all arguments were run before';
    process.stderr.write(`${why}: nothing to run\n`);
    joblog?.begin();
    return EXIT.ok;
  }
  const address = await findEngine(options);
  const parallelism = Math.min(plan.items.length, parallelismOf(options) ?? availableParallelism());
  const shape = { ...shapeOf(options, address), completions: plan.items.length, parallelism };
  const manifest = listManifest(plan, shape, {
    tries: options.retries === 0 ? Number.MAX_SAFE_INTEGER : (options.retries ?? 1),
    timeoutMs: options.timeout ?? null,
  });
  parseJob(manifest, { namespace: options.namespace ?? 'default' });

  const end = await withEngine(address, parallelism, options, async ({ drover, embedded }) => {
    const argumentList = plan.items.map((item) => plan.argsOf(item));
    const job = await drover.jobs.create(manifest, { argumentList });
    joblog?.begin();
    const style = listStyle(options);
    const view = createView(titleOf(job), style);
    const pods = new ListFollower({
      drover,
      job,
      view,
      plan,
      output: listOutputOf(options),
      keepsOrder: options.keepOrder === true,
      resultsDir,
      joblog,
      isEmbedded: embedded !== null,
    });
    const follower = new RunFollower(
      drover,
      job,
      { view, pods },
      {
        timeoutMs: null,
        engineEnds: embedded !== null,
        isShown: style !== 'none',
      },
    );
    return await follower.follow();
  });
  joblog?.close();
  if (options.json === true) process.stdout.write(`${JSON.stringify(end.job, null, 2)}\n`);
  return end.exitCode;
}

function outputOf(
  options: RunOptions,
  completions: number,
  isBatch: boolean,
): 'stream' | 'grouped' | 'none' {
  if (!options.output || options.json === true) return 'none';
  if (!isBatch) return 'stream';
  return completions <= MAX_PRINTED_PODS ? 'grouped' : 'none';
}

function listOutputOf(options: RunOptions): 'grouped' | 'lines' | 'none' {
  // What goes into files is not printed, as in GNU parallel.
  if (!options.output || options.json === true || options.results !== undefined) return 'none';
  return options.lineBuffer === true ? 'lines' : 'grouped';
}

function titleOf({ metadata }: Job): string {
  return `job/${metadata.name}`;
}

/** With arguments a run says nothing of itself in a pipe, as a tool among others. */
function listStyle(options: RunOptions): ProgressStyle {
  const style = styleOf(options);
  return options.bar === undefined && style === 'lines' ? 'none' : style;
}
