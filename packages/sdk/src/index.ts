export * from './client.ts';
export { createController, type Controller, type ControllerOptions } from '@drover/controller';
export { createWorker, type DroverWorker, type WorkerOptions } from '@drover/worker';
export * from './handlers.ts';
