/**
 * The client alone: it loads in a fraction of the time that controller and worker take with BullMQ.
 */
export type { ArgumentListInput } from './argumentList.ts';
export type { ConnectionOption } from './connection.ts';
export { Drover, type DroverOptions } from './drover.ts';
export { JobOutcomeError, type WaitCondition } from './jobOutcome.ts';
export type {
  Applied,
  CreateOptions,
  JobManifest,
  JobsClient,
  ListOptions,
  NamespaceOptions,
  WaitOptions,
  WatchJobsOptions,
} from './jobs.ts';
export type { JobEvent } from './jobWatch.ts';
export type { MergePatch } from './mergePatch.ts';
export type { ListNodesOptions, NodesClient } from './nodes.ts';
export type {
  ListPodsOptions,
  LogOptions,
  PodNamespaceOptions,
  PodsClient,
  WatchPodsOptions,
} from './pods.ts';
export type { OutputTail, TailPiece } from './outputTail.ts';
export type { PodEnd } from './podEnds.ts';
export type { PodEvent } from './podWatch.ts';
export type { ObjectRef } from './refs.ts';
export type { WaitReason } from './waiting.ts';
export {
  AlreadyExistsError,
  ConflictError,
  ConnectionError,
  DroverError,
  InvalidSelectorError,
  InvalidSpecError,
  NotFoundError,
  ResourceExhaustedError,
  TimeoutError,
  UnsuitableHostError,
  type Job,
  type JobCondition,
  type Node,
  type Pod,
  type PodPhase,
} from '@drover/shared';
export { UnsuitableRedisError, type LogPiece } from '@drover/store';
