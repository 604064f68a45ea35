export {
  ACCESS_ROLES,
  ADMIN_NAME,
  AccessToken,
  parseAccessGrant,
  parseAccessTokens,
  readAccessToken,
  type AccessGrant,
  type AccessRole,
} from './accessToken.ts';
export {
  ARGUMENT_LIST_ANNOTATION,
  ArgumentListSettings,
  HALT_EVENTS,
  readArgumentList,
  type ArgumentListReading,
  type HaltEvent,
} from './argumentList.ts';
export { assert } from './assert.ts';
export { base64Size } from './base64.ts';
export {
  getCondition,
  isConditionTrue,
  JOB_CONDITION_MESSAGES,
  JOB_CONDITION_REASONS,
  JOB_CONDITION_TYPES,
  JobCondition,
  makeCondition,
  setCondition,
  terminalCondition,
  type JobConditionReason,
  type JobConditionType,
} from './conditions.ts';
export {
  ConfigKeySelector,
  ConfigReference,
  EnvFromSource,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from './configRefs.ts';
export { CONFIG_MAP_KIND, ConfigMap, MAX_CONFIG_BYTES } from './configMap.ts';
export {
  CRON_ANNOTATION_PREFIX,
  CRON_ANNOTATIONS,
  readCronPolicy,
  strayCronAnnotationIssues,
  type CronPolicy,
  type CronPolicyReading,
  type DateRange,
} from './cron/annotations.ts';
export {
  cronJitterMs,
  cronSlots,
  DEFAULT_TIME_ZONE,
  latestFirings,
  nextFiring,
  type ClockChange,
  type CronCalendar,
  type CronFiring,
  type CronSlot,
} from './cron/firings.ts';
export {
  ActiveJob,
  CONCURRENCY_POLICIES,
  CRON_JOB_KIND,
  CronJob,
  CronJobSpec,
  CronJobStatus,
  JobTemplateSpec,
  type CronJobInput,
} from './cronJob.ts';
export { CRON_JOB_FIELD_RULES } from './cronJobFields.ts';
export { cronJobJobName, manualJobOf, scheduledJobOf } from './cronJobJobs.ts';
export { cronCalendarOf, type CronCalendarReading } from './cronCalendar.ts';
export { MAX_CRON_JOB_NAME_CHARS } from './cronJobRules.ts';
export { nextCronTime } from './cron/nextTime.ts';
export {
  readCronSchedule,
  type CronSchedule,
  type CronScheduleProblem,
  type CronScheduleReading,
} from './cron/schedule.ts';
export { isTimeZone, zoneOffsetMs } from './cron/timeZone.ts';
export {
  barePodOf,
  jobOfBarePod,
  parseBarePod,
  parseBarePodUpdate,
  type BarePod,
  type ParsedBarePod,
} from './barePod.ts';
export {
  CLIENT_ANNOTATION,
  CLIENT_ENV,
  type ClientConnection,
  type ClientSettings,
} from './podClient.ts';
export {
  DROPPED_PODS_ANNOTATION,
  KEPT_PODS_ANNOTATION,
  keptPodsOf,
  withoutShown,
} from './keptPods.ts';
export {
  FOREGROUND_FINALIZER,
  ORPHAN_FINALIZER,
  PROPAGATION_POLICIES,
  type PropagationPolicy,
} from './deletion.ts';
export { Distribution, LONG_TIME_BOUNDS, SHORT_TIME_BOUNDS } from './distribution.ts';
export { ageText, humanDuration } from './duration.ts';
export { isSemanticallyEqual } from './equality.ts';
export {
  AlreadyExistsError,
  ConflictError,
  ContainerNotFoundError,
  ConnectionError,
  DroverError,
  InvalidSelectorError,
  InvalidSpecError,
  NotFoundError,
  ResourceExhaustedError,
  SecretKeyError,
  TerminalError,
  ForbiddenError,
  TimeoutError,
  UnsuitableHostError,
  type DroverErrorCode,
  type DroverErrorOptions,
  type ObjectReference,
} from './errors.ts';
export {
  formatTraceParent,
  parseTraceParent,
  TRACEPARENT_ANNOTATION,
  TRACESTATE_ANNOTATION,
  type TraceParent,
} from './trace.ts';
export { FIELD_RULES, type FieldRule, type FieldSupport } from './fields.ts';
export {
  COMPLETION_INDEX_LABEL,
  CONTROLLER_UID_LABEL,
  generatedLabels,
  generateSelectorAndLabels,
  HOLD_ANNOTATION,
  INDEX_FAILURE_COUNT_ANNOTATION,
  INDEX_IGNORED_FAILURE_COUNT_ANNOTATION,
  ITEM_PER_POD_ANNOTATION,
  INSTANTIATE_ANNOTATION,
  JOB_NAME_LABEL,
  SCHEDULED_ANNOTATION,
  WORK_QUEUE_ANNOTATION,
} from './generated.ts';
export { hostProblem } from './host.ts';
export {
  inexactNumber,
  MAX_ITEM_BYTES,
  MAX_ITEM_KEY_BYTES,
  MAX_ITEM_RESULT_BYTES,
} from './items.ts';
export {
  checkIndexIntervals,
  countIndexes,
  forEachInterval,
  formatIndexIntervals,
  parseIndexIntervals,
  type IndexInterval,
  type IndexIntervalsCheck,
} from './indexIntervals.ts';
export { formatIssue, type IssueKind, type ValidationIssue } from './issues.ts';
export {
  Job,
  parseJob,
  readJob,
  type JobInput,
  type ParsedJob,
  type ParseJobOptions,
} from './job.ts';
export { MAX_COMPLETIONS, MAX_JOB_BYTES, MAX_PARALLELISM, OUR_CONTROLLER } from './jobRules.ts';
export {
  JobSpec,
  PodFailurePolicy,
  PodFailurePolicyOnExitCodes,
  PodFailurePolicyOnPodCondition,
  PodFailurePolicyRule,
  SuccessPolicy,
  SuccessPolicyRule,
} from './jobSpec.ts';
export { JobStatus } from './jobStatus.ts';
export {
  completionsText,
  cronJobSuspendText,
  jobDurationText,
  jobStatusWord,
  lastScheduleText,
} from './jobText.ts';
export { jobUpdateIssues, parseJobUpdate, validateJobUpdate } from './jobUpdate.ts';
export {
  formatSelector,
  LabelSelector,
  LabelSelectorRequirement,
  matchesSelector,
  parseSelector,
  selectorFromObject,
  type Labels,
  type Selector,
  type SelectorOperator,
  type SelectorRequirement,
} from './labels.ts';
export { ObjectMeta, OwnerReference } from './meta.ts';
export {
  dnsLabelProblems,
  dnsSubdomainProblems,
  envNameProblems,
  handlerNameProblems,
  labelValueProblems,
  qualifiedNameProblems,
  uidProblems,
} from './names.ts';
export { Namespace, NAMESPACE_KIND } from './namespace.ts';
export {
  ContainerRestartRule,
  isRestartedByRule,
  Lifecycle,
  type LifecycleHandler,
} from './containerLife.ts';
export {
  ClientEvent,
  COMBINED_PREFIX,
  DEFAULT_EVENT_TTL_MS,
  EVENT_KIND,
  MAX_EVENT_MESSAGE_CHARS,
  type CoreV1Event,
  type InvolvedObject,
} from './event.ts';
export { EVENT_V1_KIND, EventV1, toClientEvent, toEventV1 } from './eventV1.ts';
export { leftItemsWarnings, type ItemsWarning } from './leftItems.ts';
export { nodeStatusWord, type Node, type NodeCondition } from './node.ts';
export {
  parseObject,
  parseObjectUpdate,
  readObject,
  type KeptObject,
  type ObjectKind,
} from './objectKind.ts';
export {
  isSidecar,
  POD_PHASES,
  podMetadata,
  podNameOf,
  podUidOf,
  podSpec,
  podStatusWord,
  type ContainerState,
  type ContainerStateTerminated,
  type ContainerStatus,
  type Pod,
  type PodCondition,
  type PodIdentity,
  type PodPhase,
  type PodStatus,
} from './pod.ts';
export { failureNote, failureText, podHasEnded } from './podFailure.ts';
export { Probe, probePort } from './probe.ts';
export {
  generateName,
  parsePodName,
  podHostname,
  podName,
  podNumberFromName,
  podNumberFromUid,
  podSuffix,
  podUid,
  SUFFIX_COUNT,
  type PodNameCandidate,
} from './podNames.ts';
export {
  bytesOf,
  cpuMilliOf,
  podAmount,
  podRequests,
  podsThatFit,
  type ComputeResources,
  type ResourceKind,
} from './podResources.ts';
export { containerImagesText, containerNamesText, podReadyText, podRestarts } from './podText.ts';
export {
  Container,
  ContainerPort,
  ContainerSecurityContext,
  EnvVar,
  EnvVarSource,
  FIELD_PATHS,
  PodSecurityContext,
  PodSpec,
  PodTemplateSpec,
  ResourceRequirements,
} from './podTemplate.ts';
export { subPathProblems } from './podVolumeRules.ts';
export {
  DownwardAPIVolumeFile,
  DownwardAPIVolumeSource,
  HOST_PATH_TYPES,
  HostPathVolumeSource,
  KeyToPath,
  ProjectedVolumeSource,
  Volume,
  VolumeMount,
} from './podVolumes.ts';
export {
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  type QuantityFormat,
} from './quantity.ts';
export { errorForLog, withoutCredentials } from './redact.ts';
export { resourceFieldValue } from './resourceField.ts';
export {
  DEFAULT_POOL,
  fittingKey,
  laneKey,
  gracePeriodMs,
  MAX_TIMER_MS,
  parseFittingKey,
  POOL_LABEL,
  poolOf,
  RUNTIMES,
  runtimeOf,
  type Fitting,
  type Runtime,
} from './runtime.ts';
export {
  isSystemPriorityClass,
  NO_PRIORITY,
  noPriorityClassText,
  podPriority,
  type PodPriority,
  PRIORITY_CLASS_KIND,
  PriorityClass,
  queuePriority,
  SYSTEM_PRIORITY_CLASSES,
} from './priorityClass.ts';
export {
  COUNTED_KINDS,
  countedKinds,
  podQuotaDenial,
  type PodQuotas,
  quotaAmounts,
  quotaColumn,
  quotaDenialText,
  quotaShare,
  quotaStatus,
  RESOURCE_QUOTA_KIND,
  ResourceQuota,
  type QuotaDenial,
  type QuotaUsage,
} from './resourceQuota.ts';
export { foldStringData, Secret, SECRET_KIND } from './secret.ts';
export { SERVICE_ACCOUNT_KIND, ServiceAccount } from './serviceAccount.ts';
export { SUPPORTED, type Feature } from './supported.ts';
export { formatLongTime, formatMicroTime, formatTime, parseTime } from './time.ts';
export {
  InvalidItemsError,
  DEFAULT_ITEM_RETRY,
  ItemBackoff,
  ItemOptions,
  parseItemOptions,
  parseWorkQueue,
  readWorkQueue,
  SealedError,
  WorkQueue,
  WorkQueueSpec,
  WorkQueueStatus,
} from './workQueue.ts';
export { ITEM_PER_POD_VALUES, itemPerPodOf, type ItemPerPod } from './workQueueRules.ts';
export { withoutNulls } from './structure.ts';
export {
  isSaidByPod,
  parsePodChange,
  type PodMetadata,
  PROGRESS_ANNOTATION,
  RESULT_ANNOTATION,
} from './podChange.ts';
