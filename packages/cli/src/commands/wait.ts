import type { WaitCondition } from '@drover/sdk/client';
import { JobOutcomeError } from '@drover/sdk/client';
import { NotFoundError, TimeoutError } from '@drover/shared';

import { checkSelector, withClient, type Client } from '../client.ts';
import { badInput, reportError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { parseThings, refText } from '../things.ts';
import { untilDeleted } from '../untilDeleted.ts';

/** Options of `drover wait`. */
export interface WaitCommandOptions extends ObjectOptions {
  for: string;
  selector?: string;
  /** Milliseconds. */
  timeout?: number;
}

type Wanted = WaitCondition | 'delete';

/** Waits for Jobs side by side; exits with the gravest outcome. */
export async function waitCommand(
  words: readonly string[],
  options: WaitCommandOptions,
): Promise<number> {
  const wanted = parseCondition(options.for);
  const { kinds, things } = parseThings(words, 'job');
  checkSelector(options.selector);
  if (things.some(({ kind }) => kind !== 'job') || kinds.some((kind) => kind !== 'job')) {
    throw badInput('wait is for jobs: drover wait job/NAME --for complete');
  }
  if (things.length === 0 && options.selector === undefined) {
    throw badInput('which jobs? write job/NAME, or -l SELECTOR');
  }
  return await withClient(options, async (client) => {
    const names = things.map(({ name }) => name);
    if (options.selector !== undefined) {
      const jobs = await client.jobs.list({ labelSelector: options.selector });
      names.push(...jobs.map(({ metadata }) => metadata.name));
      if (jobs.length === 0) process.stderr.write('No resources found.\n');
    }
    const codes = await Promise.all(names.map((name) => waitFor(client, name, wanted, options)));
    return Math.max(names.length === 0 ? EXIT.failed : EXIT.ok, ...codes);
  });
}

async function waitFor(
  client: Client,
  name: string,
  wanted: Wanted,
  options: WaitCommandOptions,
): Promise<number> {
  const ref = refText({ kind: 'job', name });
  const timeout = options.timeout === undefined ? {} : { timeoutMs: options.timeout };
  // A Job may end before its work queue is empty, and well: nobody should take that for all done.
  const onWarning = (text: string): void => void process.stderr.write(`${ref}: ${text}\n`);
  try {
    if (wanted === 'delete') await untilDeleted(client, name, { timeoutMs: options.timeout });
    else await client.jobs.wait(name, { for: wanted, onWarning, ...timeout });
    process.stdout.write(`${ref} ${wanted === 'delete' ? 'deleted' : 'condition met'}\n`);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof JobOutcomeError || error instanceof NotFoundError) {
      process.stderr.write(`error: ${error.message}\n`);
      return EXIT.failed;
    }
    if (error instanceof TimeoutError) {
      process.stderr.write(`error: timed out waiting for the condition on ${ref}\n`);
      return EXIT.timedOut;
    }
    // Of several, the others may still end well; but without Redis none does.
    const { lines, exitCode } = reportError(error);
    process.stderr.write(`error: ${lines.join('\n')}\n`);
    return exitCode;
  }
}

function parseCondition(text: string): Wanted {
  const word = text.replace(/^condition=/i, '').toLowerCase();
  if (word === 'complete' || word === 'failed' || word === 'finished') return word;
  if (word === 'delete' || word === 'deleted') return 'delete';
  throw badInput(`--for ${text}: complete, failed, finished or delete is expected`);
}
