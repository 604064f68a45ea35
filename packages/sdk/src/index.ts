export * from './client.ts';
export { createController, type Controller, type ControllerOptions } from '@drover/controller';
export {
  createWorker,
  defineHandler,
  type DroverWorker,
  type HandlerContext,
  type HandlerDefinition,
  type WorkerOptions,
} from '@drover/worker';
