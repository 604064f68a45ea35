export { createController, type Controller, type ControllerOptions } from './controller.ts';
