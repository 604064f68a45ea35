/**
 * What starts programs as a worker does, alone: for commands that run many of them and have no Redis.
 */
export type { OutputStream } from './process/frames.ts';
export { makeFifos } from './process/outputPipes.ts';
export { exitText, type ProcessExit } from './process/processExit.ts';
export { ProcessRunner, type ProcessRunnerOptions } from './process/processRunner.ts';
export type { OutputSink, ProcessPodSpec, RunningProcess } from './process/runningProcess.ts';
