export * from './handlers.ts';
export { MAX_RESULT_BYTES } from './handler/handlerEnd.ts';
export {
  describeImportError,
  importHandlers,
  type HandlerModule,
} from './handler/handlerModule.ts';
export { INPUT_ANNOTATION } from './handler/input.ts';
export { HandlerThreadError } from './handler/threads/threadPool.ts';
export type { ItemResult, LaneFigures, PodResult, WorkerFigures } from './figures.ts';
export type { Connection } from './link.ts';
export type { NodeCondition, NodeDetails } from './nodeHeartbeat.ts';
export type { CloseOptions, DroverWorker, WorkerOptions } from './options.ts';
export type { CrashLoopPolicy } from './process/crashLoop.ts';
export type { SandboxOptions } from './process/sandbox.ts';
export type { RuntimeName } from './runtime.ts';
export { createWorker } from './worker.ts';
