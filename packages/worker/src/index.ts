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
export { MAX_RESULT_BYTES } from './handler/handlerEnd.ts';
export {
  describeImportError,
  importHandlers,
  type HandlerModule,
} from './handler/handlerModule.ts';
export { INPUT_ANNOTATION } from './handler/input.ts';
export { HandlerThreadError } from './handler/threads/threadPool.ts';
export type { Progress } from './handler/podProgress.ts';
export type { JobFacts } from './jobPlan.ts';
export type { Connection } from './link.ts';
export type { NodeCondition, NodeDetails } from './nodeHeartbeat.ts';
export type { CloseOptions, DroverWorker, WorkerOptions } from './options.ts';
export type { CrashLoopPolicy } from './process/crashLoop.ts';
export type { RuntimeName } from './runtime.ts';
export { createWorker } from './worker.ts';
