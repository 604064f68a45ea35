/**
 * What a module of handlers needs, alone: it loads nothing else, so that a thread that loads such a
 * module is there in no time and small.
 */
export type { HandlerContext, PodFactsOfHandler } from './handler/context.ts';
export {
  defineHandler,
  type HandlerDefinition,
  type HandlerOptions,
  type Isolation,
  type Schema,
  type SchemaIssue,
  type SchemaOutput,
  type SchemaResult,
} from './handler/defineHandler.ts';
export { defineItemHandler, type ItemHandlerOptions } from './handler/defineItemHandler.ts';
export type { FailItemOptions, Item, ItemOfHandler, Items, ItemsOptions } from './items/item.ts';
export {
  FinalItemError,
  ItemEndedError,
  ItemsFencedError,
  NoItemsError,
} from './items/itemErrors.ts';
export type { Progress } from './handler/podProgress.ts';
export type { JobFacts } from './jobPlan.ts';
