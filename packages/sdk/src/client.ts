/**
 * The client alone: it loads in a fraction of the time that controller and worker take with BullMQ.
 */
export type { ArgumentListInput } from './argumentList.ts';
export type { ConfigMapsClient, SecretsClient } from './configs.ts';
export type { PriorityClassesClient } from './priorityClasses.ts';
export type { ResourceQuotasClient } from './resourceQuotas.ts';
export type { BackfilledTime, BackfillRange } from './cronBackfill.ts';
export type { BackfillOptions, CronJobsClient, TriggerOptions } from './cronJobs.ts';
export type { ItemPerPodInput } from './itemPerPod.ts';
export type { ConnectionOption } from './connection.ts';
export { Drover, type DroverOptions } from './drover.ts';
export type { EventsClient, ListEventsOptions, WatchEventsOptions } from './events.ts';
export { JobOutcomeError, type WaitCondition } from './jobOutcome.ts';
export type { Durability } from '@drover/store';
export type {
  Applied,
  CreateOptions,
  JobEvent,
  JobManifest,
  JobsClient,
  ListOptions,
  NamespaceOptions,
  WaitOptions,
  WatchJobsOptions,
} from './jobs.ts';
export type { AppliedPod, CreatePodOptions, PodManifest } from './barePods.ts';
export type { MergePatch } from './mergePatch.ts';
export type { ListNodesOptions, NodesClient } from './nodes.ts';
export type {
  ListPodsOptions,
  LogOptions,
  PodNamespaceOptions,
  PodsClient,
  WatchPodsOptions,
} from './pods.ts';
export type {
  AppliedObject,
  ChangeObjectOptions,
  CreateObjectOptions,
  ObjectManifest,
  ObjectsClient,
  WatchObjectsOptions,
} from './objects.ts';
export type { ObjectEvent } from './objectWatch.ts';
export type { OutputTail, TailPiece } from './outputTail.ts';
export type { PodEnd } from './podEnds.ts';
export type { PodEvent } from './podWatch.ts';
export type { ObjectRef } from './refs.ts';
export type { WaitReason } from './waiting.ts';
export {
  WorkQueueHandle,
  type Enqueued,
  type EnqueueOptions,
  type ResultsOptions,
  type WorkQueueHandleOptions,
  type WorkQueueStats,
} from './workQueues/workQueue.ts';
export { BatchAbandonedError } from './workQueues/itemSender.ts';
export type { ItemSource } from './workQueues/itemBatches.ts';
export type { ItemsWarning } from '@drover/shared';
export { itemsWarnings } from './workQueues/itemsWarnings.ts';
export type { DeadItem, ItemResult } from './workQueues/results.ts';
export type {
  WorkQueueManifest,
  WorkQueueNamespaceOptions,
  WorkQueuesClient,
} from './workQueues/workQueues.ts';
export {
  AlreadyExistsError,
  ConflictError,
  ConnectionError,
  DroverError,
  ForbiddenError,
  InvalidItemsError,
  InvalidSelectorError,
  InvalidSpecError,
  NotFoundError,
  ResourceExhaustedError,
  SealedError,
  SecretKeyError,
  TimeoutError,
  UnsuitableHostError,
  type ConfigMap,
  type CoreV1Event,
  type CronJob,
  type ItemOptions,
  type Job,
  type JobCondition,
  type Node,
  type Pod,
  type PodPhase,
  type PriorityClass,
  type ResourceQuota,
  type Secret,
  type WorkQueue,
  type WorkQueueSpec,
  type WorkQueueStatus,
} from '@drover/shared';
export {
  UnsuitableRedisError,
  type CronRun,
  type DeadReason,
  type LogPiece,
  type SecretSummary,
} from '@drover/store';
