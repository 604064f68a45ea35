export { ACL_ROLES, aclPassword, type AclRole, aclUsers } from './acl.ts';
export * from './api.ts';
export { type Arguments, ARGUMENTS_PER_CHUNK } from './argumentList.ts';
export { composeJob, type JobSource, liveStatus } from './compose/job.ts';
export {
  completeJob,
  jobText,
  newJobOf,
  ownersOf,
  ownMetadata,
  type Placement,
  placementOf,
} from './compose/newJob.ts';
export { composeMetadata, composeObject, objectText } from './compose/object.ts';
export { composeNode } from './compose/node.ts';
export { composeWorkQueue } from './compose/workQueue.ts';
export { composePod, type PodSource, versionOfPod } from './compose/pod.ts';
export { type EventQuery, Events, type NewEvent } from './events.ts';
export { EventRecorder, type EventSink } from './eventRecorder.ts';
export { Gather, type GatherLimits } from './gather.ts';
export { checkHost } from './host.ts';
export {
  addItems,
  dropItems,
  type ChunkData,
  type FreeState,
  isOutOfMemory,
  ITEM_QUEUE_NAME,
  type ItemQueueJobData,
  itemQueueOptions,
  MAX_DROPPED,
  obliterateItems,
  type SingleItemData,
} from './itemQueue.ts';
export { MAX_PODS_PER_CALL } from './jobScripts.ts';
export {
  hashSlot,
  nodeKeys,
  podLogKey,
  RECORDS_PER_CHUNK,
  shardIndexOf,
  ShardKeys,
  shardTag,
  slotQueuePrefix,
} from './keys.ts';
export { type NodeRecord, NodeStore } from './nodes.ts';
export {
  inspectInstallation,
  type InstallationFacts,
  type ShardFacts,
  type Some,
} from './inspect/installation.ts';
export { findOrphanKeys, type KeyFacts, type OrphanKeyOptions } from './inspect/orphanKeys.ts';
export {
  readGauges,
  type InstallationGauges,
  type SlotQueueGauges,
  type WorkQueueGauges,
} from './inspect/gauges.ts';
export { inspectServer, type ServerFacts } from './inspect/server.ts';
export {
  type EndedPod,
  type LogPiece,
  readPodEnds,
  readWholeLogs,
  removeLogs,
  toPiece,
} from './podEnds.ts';
export {
  formatLogTime,
  LogField,
  LogKind,
  type PodLogLine,
  readPodLog,
  type ReadPodLogOptions,
} from './podLog.ts';
export {
  MAX_LOG_ENTRIES_PER_CALL,
  type PodLogChange,
  type PodLogEntry,
  writePodLog,
} from './podLogEntries.ts';
export * from './cronJobApi.ts';
export { CronJobs, cronJobUid } from './cronJobs.ts';
export { type Connections, type InUse, isInUse, otherConnections } from './migration/inUse.ts';
export { LAYOUT_VERSION, layoutRefusal } from './migration/layout.ts';
export {
  migrateLayout,
  planMigration,
  type MigrationPlan,
  type MigrationResult,
} from './migration/migrate.ts';
export * from './objectApi.ts';
export { cronMember, Objects } from './objects.ts';
export { adoptionOf, type Adoption, type AdoptionAnswer, type AdoptInput } from './adoption.ts';
export type { Quotas, QuotaWoken } from './quotas.ts';
export { decodePodRecord, decodeSlotRecord, entrySize } from './records.ts';
export { decodeHot } from './hot.ts';
export {
  type ClusterConnectionOptions,
  parseAddress,
  redactAddress,
  withPassword,
} from './redisAddress.ts';
export {
  addressOf,
  type ClientOptions,
  duplicateClient,
  isClient,
  knownNodes,
  openClient,
  openSubscriberClient,
  type RedisClient,
  type RedisConnection,
  serversOf,
} from './redisClient.ts';
export { awaitReplicas, checkDurability, type Durability } from './replication.ts';
export { nobodyFits, unschedulableMessage } from './scheduling.ts';
export { defineScripts, scriptFigures, type ScriptFigures } from './scripts.ts';
export { hasTlsParameters, type TlsParameter } from './redisTls.ts';
export { SECRET_KEY_VARIABLE, SecretKeyFile } from './secrets/keyFile.ts';
export { newSecretKey, SecretKeys, type Sealed } from './secrets/keys.ts';
export {
  LAST_APPLIED_ANNOTATION,
  sealSecret,
  type SecretSummary,
  summarizeSecret,
  unsealSecret,
} from './secrets/secret.ts';
export { newSessionId } from './session.ts';
export { showsPods } from './shardReader.ts';
export { Shard, type ShardOptions } from './shard.ts';
export {
  slotQueueJob,
  type SlotQueueJobData,
  slotQueueName,
  slotQueueOptions,
} from './slotQueue.ts';
export {
  checkServer,
  DEFAULT_SETTINGS,
  type InstallationSettings,
  Store,
  type StoreOptions,
} from './store.ts';
export { Subscriber } from './subscriber.ts';
export { TokenStore } from './tokens.ts';
export { UnsuitableRedisError } from './unsuitable.ts';
export {
  announcePodWatcher,
  type WatchEntry,
  WatchExpiredError,
  type WatchOptions,
  lastChange,
  readChanges,
  watchShard,
} from './watch.ts';
export * from './workQueueApi.ts';
export { WorkQueues } from './workQueues.ts';
