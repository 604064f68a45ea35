/**
 * What the packages of Drover that build on the client need of its inside: the API server. Not for
 * programs; it changes without notice.
 */
export { desired, lastApplied, withLastApplied } from './applied.ts';
export { Backend } from './backend.ts';
export { Connection } from './connection.ts';
export { composeAll as composeJobs, JobsClient } from './jobs.ts';
export { ConfigMapsClient, SecretsClient } from './configs.ts';
export { CronJobsClient } from './cronJobs.ts';
export { runsToRead } from './containerRuns.ts';
export { mergeAll } from './merge.ts';
export { awaitOutcome } from './jobWait.ts';
export { byNamespaceAndName } from './listing.ts';
export { applyMergePatch, threeWayPatch } from './mergePatch.ts';
export { NodesClient } from './nodes.ts';
export { ObjectsClient } from './objects.ts';
export { PodsClient } from './pods.ts';
export { resolveRef } from './refs.ts';
export { PriorityClassesClient } from './priorityClasses.ts';
export { ResourceQuotasClient } from './resourceQuotas.ts';
export { runningNumbers, type PodComposer } from './podWatch.ts';
export { WorkQueueHandle } from './workQueues/workQueue.ts';
export { WorkQueuesClient } from './workQueues/workQueues.ts';
