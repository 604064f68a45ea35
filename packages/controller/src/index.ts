export {
  type ControllerFigures,
  type FinishedFigures,
  type MemberKind,
  type ReconcileFigures,
} from './figures.ts';
export { createController, type Controller, type ControllerOptions } from './controller.ts';
