import { NotFoundError } from '@drover/shared';

import { withDrover } from '../client.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { formatDocument } from '../print/printer.ts';
import { confirm } from '../queue/confirm.ts';
import { isWanted, type DeadFilter } from '../queue/deadFilter.ts';
import { checkQueueName, queueText } from '../queues.ts';
import { itemFlags, type ItemFlags } from './enqueue.ts';

/** Options of `drover queue retry`. */
export interface QueueRetryOptions extends ObjectOptions, DeadFilter, ItemFlags {
  output?: 'json';
}

/** Options of `drover queue clear`. */
export interface QueueClearOptions extends ObjectOptions {
  yes?: boolean;
  output?: 'json';
}

/** Options of `drover queue seal`. */
export interface QueueSealOptions extends ObjectOptions {
  output?: 'json' | 'yaml';
}

/** Options of `drover queue delete`. */
export interface QueueDeleteOptions extends ObjectOptions {
  yes?: boolean;
  ignoreNotFound?: boolean;
}

/** Enqueues dead letters again. */
export async function queueRetryCommand(name: string, options: QueueRetryOptions): Promise<number> {
  checkQueueName(name);
  const itemOptions = itemFlags(options, name);
  return await withDrover(options, async (drover) => {
    const missing = new Set(options.id);
    const retried = await drover.workQueue(name).retry((item) => {
      missing.delete(item.id);
      return isWanted(item, options);
    }, itemOptions);
    if (options.output === 'json') printJson({ workQueue: name, retried, notFound: [...missing] });
    else process.stdout.write(`${queueText(name)}: ${itemsText(retried)} enqueued again\n`);
    for (const id of missing) {
      process.stderr.write(`error: ${queueText(name)} has no dead letter ${id}\n`);
    }
    return missing.size === 0 ? EXIT.ok : EXIT.failed;
  });
}

/** Removes the items that nobody works on. */
export async function queueClearCommand(name: string, options: QueueClearOptions): Promise<number> {
  checkQueueName(name);
  return await withDrover(options, async (drover) => {
    const handle = drover.workQueue(name);
    const { waiting, delayed } = await handle.stats();
    const question = `Remove ${itemsText(waiting + delayed)} of ${queueText(name)} that nobody works on?`;
    if (options.yes !== true && !(await confirm(question))) return declined();
    const cleared = await handle.clear();
    if (options.output === 'json') printJson({ workQueue: name, cleared });
    else process.stdout.write(`${queueText(name)}: ${itemsText(cleared)} removed\n`);
    return EXIT.ok;
  });
}

/** Says that no more items will come. */
export async function queueSealCommand(name: string, options: QueueSealOptions): Promise<number> {
  checkQueueName(name);
  return await withDrover(options, async (drover) => {
    const handle = drover.workQueue(name);
    const wasSealed = (await handle.get()).status?.sealedTime !== undefined;
    await handle.seal();
    if (options.output === undefined) {
      process.stdout.write(`${queueText(name)} ${wasSealed ? 'was sealed before' : 'sealed'}\n`);
    } else {
      process.stdout.write(await formatDocument([await handle.get()], options.output, true));
    }
    return EXIT.ok;
  });
}

/** Removes a work queue with all that is in it. */
export async function queueDeleteCommand(
  name: string,
  options: QueueDeleteOptions,
): Promise<number> {
  checkQueueName(name);
  return await withDrover(options, async (drover) => {
    const handle = drover.workQueue(name);
    try {
      const { unsettled = 0, dead = 0, completed = 0 } = (await handle.get()).status ?? {};
      const content = `${itemsText(unsettled)} not settled, ${dead} dead, ${completed} completed`;
      const question = `Delete ${queueText(name)} (${content}) with all results?`;
      if (options.yes !== true && !(await confirm(question))) return declined();
      await handle.delete();
    } catch (error) {
      if (options.ignoreNotFound === true && error instanceof NotFoundError) return EXIT.ok;
      throw error;
    }
    process.stdout.write(`workqueue.drover.dev "${name}" deleted\n`);
    return EXIT.ok;
  });
}

function declined(): number {
  process.stderr.write('nothing was changed\n');
  return EXIT.failed;
}

function printJson(data: object): void {
  process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
}

function itemsText(count: number): string {
  return `${count} item${count === 1 ? '' : 's'}`;
}
