/**
 * What starts programs as a worker does and gives them items, alone: for commands that run many of them and have no Redis.
 */
export { lineOf, readResult, textOf, tooLong, type ReadResult } from './items/itemText.ts';
export type { OutputStream } from './process/frames.ts';
export { makeFifos } from './process/outputPipes.ts';
export { exitText, type ProcessExit } from './process/processExit.ts';
export { ProcessRunner, type ProcessRunnerOptions } from './process/processRunner.ts';
export type { OutputSink, ProcessPodSpec, RunningProcess } from './process/runningProcess.ts';
