import type { DeadItem, Drover, ItemResult } from '@drover/sdk/client';
import type { WorkQueue } from '@drover/shared';

import { withDrover } from '../client.ts';
import { ageText, formatEntries, timeText } from '../describe/layout.ts';
import { EXIT } from '../exitCodes.ts';
import { untilInterrupted } from '../interrupt.ts';
import type { ObjectOptions } from '../options.ts';
import { formatDocument } from '../print/printer.ts';
import { isWanted, type DeadFilter } from '../queue/deadFilter.ts';
import { RowPrinter } from '../queue/rowPrinter.ts';
import { checkQueueName, queueStatusWord, queueText } from '../queues.ts';
import { formatTable } from '../text/table.ts';

/** Options of `drover queue ls`. */
export interface ListQueuesOptions extends ObjectOptions {
  headers: boolean;
  output?: 'json' | 'yaml' | 'name';
}

/** Options of `drover queue stats`. */
export interface QueueStatsOptions extends ObjectOptions {
  output?: 'json' | 'yaml';
}

/** Options of `drover queue results`. */
export interface QueueResultsOptions extends ObjectOptions {
  follow?: boolean;
  order: 'completion' | 'enqueue';
  output?: 'ndjson' | 'json';
}

/** Options of `drover queue dead`. */
export interface QueueDeadOptions extends ObjectOptions, DeadFilter {
  output?: 'ndjson' | 'json';
}

/** Lists the work queues of a namespace. */
export async function listQueuesCommand(options: ListQueuesOptions): Promise<number> {
  return await withDrover(options, async (drover) => {
    const queues = await drover.workQueues.list();
    const { output } = options;
    if (output === 'json' || output === 'yaml') {
      process.stdout.write(await formatDocument(queues, output, false));
    } else if (queues.length === 0) {
      process.stderr.write(`No work queues found in ${drover.namespace} namespace.\n`);
    } else {
      process.stdout.write(`${queueLines(queues, options, Date.now()).join('\n')}\n`);
    }
    return EXIT.ok;
  });
}

function queueLines(
  queues: readonly WorkQueue[],
  { output, headers }: ListQueuesOptions,
  nowMs: number,
): string[] {
  if (output === 'name') return queues.map(({ metadata }) => queueText(metadata.name));
  const header = headers ? ['name', 'status', 'items', 'left', 'completed', 'dead', 'age'] : [];
  const rows = queues.map((queue) => {
    const { metadata, status } = queue;
    const { enqueued = 0, unsettled = 0, completed = 0, dead = 0 } = status ?? {};
    const counts = [enqueued, unsettled, completed, dead].map(String);
    const age = ageText(metadata.creationTimestamp, nowMs);
    return [metadata.name, queueStatusWord(queue), ...counts, age];
  });
  return formatTable(header, rows);
}

/** Counts the items of a work queue by where they are. */
export async function queueStatsCommand(name: string, options: QueueStatsOptions): Promise<number> {
  checkQueueName(name);
  return await withDrover(options, async (drover) => {
    const handle = drover.workQueue(name);
    const queue = await handle.get();
    const stats = await handle.stats();
    const { enqueued = 0, retried = 0, cleared = 0, abandoned = 0 } = queue.status ?? {};
    const { output } = options;
    if (output !== undefined) {
      const { namespace } = queue.metadata;
      const data = { name, namespace, enqueued, ...stats, retried, cleared, abandoned };
      process.stdout.write(await formatDocument([data], output, true));
      return EXIT.ok;
    }
    const { waiting, delayed, inFlight, completed, dead } = stats;
    const sealedTime = queue.status?.sealedTime;
    const nowMs = Date.now();
    const lines = formatEntries([
      ['Name', name],
      ['Namespace', queue.metadata.namespace],
      ['Created', whenText(queue.metadata.creationTimestamp, nowMs)],
      ['Status', queueStatusWord(queue)],
      ...(sealedTime === undefined ? [] : [['Sealed', whenText(sealedTime, nowMs)] as const]),
      ['Enqueued', String(enqueued)],
      ['Waiting', String(waiting)],
      ['Delayed', String(delayed)],
      ['In Flight', String(inFlight)],
      ['Completed', String(completed)],
      ['Dead', String(dead)],
      ['Retried', String(retried)],
      ['Cleared', String(cleared)],
      ['Abandoned', String(abandoned)],
    ]);
    process.stdout.write(`${lines.join('\n')}\n`);
    return EXIT.ok;
  });
}

function whenText(time: string | undefined, nowMs: number): string {
  return `${timeText(time)} (${ageText(time, nowMs)} ago)`;
}

/** Prints the results of completed items. */
export async function queueResultsCommand(
  name: string,
  options: QueueResultsOptions,
): Promise<number> {
  checkQueueName(name);
  const { follow = false, order, output } = options;
  return await withDrover(options, async (drover) => {
    const printer = new RowPrinter<ItemResult>(output ?? 'table', RESULT_COLUMNS);
    await untilInterrupted(async (signal) => {
      const results = drover.workQueue(name).results({ follow, order, signal });
      for await (const result of results) {
        printer.add(result);
        await printer.drained();
      }
    });
    printer.close(`No results of ${queueText(name)}.`);
    return EXIT.ok;
  });
}

const RESULT_COLUMNS = {
  header: ['id', 'attempts', 'age', 'result'],
  cells: ({ id, attempts, endTime, result }: ItemResult) => [
    String(id),
    String(attempts),
    ageText(endTime, Date.now()),
    result === undefined ? '<none>' : JSON.stringify(result),
  ],
};

/** Prints the items that failed for good. */
export async function queueDeadCommand(name: string, options: QueueDeadOptions): Promise<number> {
  checkQueueName(name);
  return await withDrover(options, async (drover) => {
    const printer = new RowPrinter<DeadItem>(options.output ?? 'table', DEAD_COLUMNS);
    for (const item of await readDead(drover, name, options)) {
      printer.add(item);
      await printer.drained();
    }
    printer.close(`No dead letters of ${queueText(name)}.`);
    return EXIT.ok;
  });
}

/** In order of their ids: the store tells them in none. */
async function readDead(drover: Drover, name: string, filter: DeadFilter): Promise<DeadItem[]> {
  const items: DeadItem[] = [];
  for await (const item of drover.workQueue(name).deadLetters()) {
    if (isWanted(item, filter)) items.push(item);
  }
  return items.toSorted((a, b) => a.id - b.id);
}

const DEAD_COLUMNS = {
  header: ['id', 'reason', 'attempts', 'age', 'error', 'data'],
  cells: ({ id, reason, attempts, endTime, error, data }: DeadItem) => [
    String(id),
    reason,
    String(attempts),
    ageText(endTime, Date.now()),
    error,
    JSON.stringify(data),
  ],
};
