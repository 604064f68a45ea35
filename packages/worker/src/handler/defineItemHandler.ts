import { itemView, type Item, type ItemOfHandler } from '../items/item.ts';
import { FinalItemError, isFinalError } from '../items/itemErrors.ts';
import type { HandlerContext } from './context.ts';
import {
  defineHandler,
  type HandlerDefinition,
  type HandlerOptions,
  type Schema,
  type SchemaOutput,
  sortArguments,
} from './defineHandler.ts';
import { describeIssue } from './input.ts';

/** Most items at a time in one pod. */
const MAX_CONCURRENCY = 1_000;
/** Items that a pod with one at a time fetches ahead; others have one ahead for each. */
const SINGLE_PREFETCH = 4;

/** Options of {@link defineItemHandler}. */
export interface ItemHandlerOptions extends HandlerOptions {
  /** Items at a time in one pod, 1 to 1000. Default 1. */
  readonly concurrency?: number;
}

type RunItem<Data> = (item: ItemOfHandler<Data>, pod: HandlerContext) => unknown;

/**
 * Defines a handler whose pods run a function for each item of the Job's work queue, until all are done.
 *
 * What the function returns is the item's result (JSON, at most 64 KiB). If it throws, the item failed and the pod goes
 * on: the item is tried again after its back-off, and dead-lettered when it has no attempt left.
 *
 * With a schema, `item.data` is checked and typed; an item that does not fit is dead-lettered at once, as is one for which
 * the function throws a FinalItemError.
 *
 * Of a Job whose pods take one item each the function is called for that one, and its end is the pod's.
 *
 * @throws TypeError when the name or an option is wrong.
 *
 * @example
 * const thumbnail = defineItemHandler('thumbnail', z.object({ path: z.string() }), async ({ data, signal }) => {
 *   return await makeThumbnail(data.path, { signal });
 * }, { concurrency: 4 });
 */
export function defineItemHandler<Data = unknown>(
  name: string,
  run: RunItem<Data>,
  options?: ItemHandlerOptions,
): HandlerDefinition;
export function defineItemHandler<S extends Schema>(
  name: string,
  schema: S,
  run: RunItem<SchemaOutput<S>>,
  options?: ItemHandlerOptions,
): HandlerDefinition;
export function defineItemHandler(name: string, ...rest: readonly unknown[]): HandlerDefinition {
  const { schema, run, options } = sortArguments(rest);
  if (typeof run !== 'function') throw new TypeError(`handler "${name}" needs a function`);
  if (schema !== null && typeof schema['~standard']?.validate !== 'function') {
    throw new TypeError(
      `handler "${name}": the second argument is neither a function nor a schema (such as zod's)`,
    );
  }
  const { concurrency = 1, ...handlerOptions } = (options ?? {}) as ItemHandlerOptions;
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY) {
    throw new TypeError(
      `handler "${name}": concurrency ${String(concurrency)}: an integer of 1 to ${MAX_CONCURRENCY} is expected`,
    );
  }
  const runItem = run as RunItem<unknown>;
  const prefetch = concurrency === 1 ? SINGLE_PREFETCH : 2;
  const runPod = async (pod: HandlerContext): Promise<unknown> => {
    if (pod.item !== null) return await runItem(await checked(pod.item, schema), pod);
    const walk = async (): Promise<void> => {
      for await (const item of pod.items({ prefetch })) await runOne(item, pod, schema, runItem);
    };
    // All of them end, before the pod does: none may go on with an item after it.
    const ends = await Promise.allSettled(Array.from({ length: concurrency }, walk));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return undefined;
  };
  return defineHandler(name, runPod, handlerOptions);
}

async function runOne(
  item: Item,
  pod: HandlerContext,
  schema: Schema | null,
  run: RunItem<unknown>,
): Promise<void> {
  try {
    const recorded = item.complete(await run(await checked(item, schema), pod));
    // The next one need not wait for that; the pod's end does, and what is wrong with it shows at the next item.
    // A result that can not be kept leaves the item in hand.
    if (!item.isEnded) await recorded;
  } catch (error) {
    // The item is not to blame for that: it goes back.
    if (pod.signal.aborted) throw pod.signal.reason;
    if (isFinalError(error)) void item.fail((error as Error).message, { retry: false });
    else void item.fail(error);
  }
}

/** The item with its data as the schema gives it. @throws FinalItemError when it does not fit. */
async function checked(item: ItemOfHandler, schema: Schema | null): Promise<ItemOfHandler> {
  if (schema === null) return item;
  const result = await schema['~standard'].validate(item.data);
  if (result.issues !== undefined) {
    const problems = result.issues.map(describeIssue).join('; ');
    throw new FinalItemError(`its data does not fit the schema: ${problems}`);
  }
  return itemView(item, result.value as never, (progress) => item.progress(progress));
}
