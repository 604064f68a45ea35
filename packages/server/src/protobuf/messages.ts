/**
 * The messages of Kubernetes' API that clients send, as far as bodies of requests have them: kubectl
 * and others encode built-in kinds as protobuf.
 *
 * A message is a list of `field=number:type`. A type is a message, or one of the scalars `string`,
 * `int`, `bool`, `bytes`; `[]T` is a list, `map<T>` a map with text keys. With `?` a scalar that is
 * zero is kept: it was set. Without, Go encodes what is not set as zero, too. `@T` is a message whose
 * fields lie in the object itself. `Opaque` is not looked into: it is refused or not used anyway.
 */
const MESSAGES = {
  // meta/v1
  ObjectMeta:
    'name=1:string generateName=2:string namespace=3:string selfLink=4:string uid=5:string resourceVersion=6:string generation=7:int creationTimestamp=8:Time deletionTimestamp=9:Time deletionGracePeriodSeconds=10:int? labels=11:map<string> annotations=12:map<string> ownerReferences=13:[]OwnerReference finalizers=14:[]string managedFields=17:[]ManagedFieldsEntry',
  OwnerReference:
    'kind=1:string name=3:string uid=4:string apiVersion=5:string controller=6:bool? blockOwnerDeletion=7:bool?',
  ManagedFieldsEntry:
    'manager=1:string operation=2:string apiVersion=3:string time=4:Time fieldsType=6:string fieldsV1=7:Json subresource=8:string',
  LabelSelector: 'matchLabels=1:map<string> matchExpressions=2:[]LabelSelectorRequirement',
  LabelSelectorRequirement: 'key=1:string operator=2:string values=3:[]string',
  DeleteOptions:
    'gracePeriodSeconds=1:int? preconditions=2:Preconditions orphanDependents=3:bool? propagationPolicy=4:string? dryRun=5:[]string ignoreStoreReadErrorWithClusterBreakingPotential=6:bool?',
  Preconditions: 'uid=1:string? resourceVersion=2:string?',

  // batch/v1
  Job: 'metadata=1:ObjectMeta spec=2:JobSpec status=3:Opaque',
  JobSpec:
    'parallelism=1:int? completions=2:int? activeDeadlineSeconds=3:int? selector=4:LabelSelector manualSelector=5:bool? template=6:PodTemplateSpec backoffLimit=7:int? ttlSecondsAfterFinished=8:int? completionMode=9:string? suspend=10:bool? podFailurePolicy=11:PodFailurePolicy backoffLimitPerIndex=12:int? maxFailedIndexes=13:int? podReplacementPolicy=14:string? managedBy=15:string? successPolicy=16:SuccessPolicy',
  PodFailurePolicy: 'rules=1:[]PodFailurePolicyRule',
  PodFailurePolicyRule:
    'action=1:string onExitCodes=2:PodFailurePolicyOnExitCodes onPodConditions=3:[]PodFailurePolicyOnPodCondition',
  PodFailurePolicyOnExitCodes: 'containerName=1:string? operator=2:string values=3:[]int',
  PodFailurePolicyOnPodCondition: 'type=1:string status=2:string',
  SuccessPolicy: 'rules=1:[]SuccessPolicyRule',
  SuccessPolicyRule: 'succeededIndexes=1:string? succeededCount=2:int?',
  CronJob: 'metadata=1:ObjectMeta spec=2:CronJobSpec status=3:Opaque',
  CronJobSpec:
    'schedule=1:string startingDeadlineSeconds=2:int? concurrencyPolicy=3:string suspend=4:bool? jobTemplate=5:JobTemplateSpec successfulJobsHistoryLimit=6:int? failedJobsHistoryLimit=7:int? timeZone=8:string?',
  JobTemplateSpec: 'metadata=1:ObjectMeta spec=2:JobSpec',

  // core/v1
  Pod: 'metadata=1:ObjectMeta spec=2:PodSpec status=3:Opaque',
  PodTemplateSpec: 'metadata=1:ObjectMeta spec=2:PodSpec',
  PodSpec:
    'volumes=1:[]Volume containers=2:[]Container restartPolicy=3:string terminationGracePeriodSeconds=4:int? activeDeadlineSeconds=5:int? dnsPolicy=6:string nodeSelector=7:map<string> serviceAccountName=8:string serviceAccount=9:string nodeName=10:string hostNetwork=11:bool hostPID=12:bool hostIPC=13:bool securityContext=14:PodSecurityContext imagePullSecrets=15:[]LocalObjectReference hostname=16:string subdomain=17:string affinity=18:Affinity schedulerName=19:string initContainers=20:[]Container automountServiceAccountToken=21:bool? tolerations=22:[]Toleration hostAliases=23:[]HostAlias priorityClassName=24:string priority=25:int? dnsConfig=26:PodDNSConfig shareProcessNamespace=27:bool? readinessGates=28:[]PodReadinessGate runtimeClassName=29:string? enableServiceLinks=30:bool? preemptionPolicy=31:string? overhead=32:map<Quantity> topologySpreadConstraints=33:[]TopologySpreadConstraint ephemeralContainers=34:[]Opaque setHostnameAsFQDN=35:bool? os=36:Named hostUsers=37:bool? schedulingGates=38:[]Named resourceClaims=39:[]PodResourceClaim resources=40:ResourceRequirements hostnameOverride=41:string? workloadRef=42:WorkloadReference',
  Container:
    'name=1:string image=2:string command=3:[]string args=4:[]string workingDir=5:string ports=6:[]ContainerPort env=7:[]EnvVar resources=8:ResourceRequirements volumeMounts=9:[]VolumeMount livenessProbe=10:Probe readinessProbe=11:Probe lifecycle=12:Lifecycle terminationMessagePath=13:string imagePullPolicy=14:string securityContext=15:SecurityContext stdin=16:bool stdinOnce=17:bool tty=18:bool envFrom=19:[]EnvFromSource terminationMessagePolicy=20:string volumeDevices=21:[]VolumeDevice startupProbe=22:Probe resizePolicy=23:[]ContainerResizePolicy restartPolicy=24:string? restartPolicyRules=25:[]ContainerRestartRule',
  ContainerPort:
    'name=1:string hostPort=2:int containerPort=3:int protocol=4:string hostIP=5:string',
  EnvVar: 'name=1:string value=2:string valueFrom=3:EnvVarSource',
  EnvVarSource:
    'fieldRef=1:ObjectFieldSelector resourceFieldRef=2:ResourceFieldSelector configMapKeyRef=3:KeySelector secretKeyRef=4:KeySelector fileKeyRef=5:FileKeySelector',
  ObjectFieldSelector: 'apiVersion=1:string fieldPath=2:string',
  ResourceFieldSelector: 'containerName=1:string resource=2:string divisor=3:Quantity',
  KeySelector: 'ref=1:@LocalObjectReference key=2:string optional=3:bool?',
  FileKeySelector: 'volumeName=1:string path=2:string key=3:string optional=4:bool?',
  EnvFromSource: 'prefix=1:string configMapRef=2:EnvSource secretRef=3:EnvSource',
  EnvSource: 'ref=1:@LocalObjectReference optional=2:bool?',
  LocalObjectReference: 'name=1:string',
  Named: 'name=1:string',
  ResourceRequirements: 'limits=1:map<Quantity> requests=2:map<Quantity> claims=3:[]ResourceClaim',
  ResourceClaim: 'name=1:string request=2:string',
  VolumeMount:
    'name=1:string readOnly=2:bool mountPath=3:string subPath=4:string mountPropagation=5:string? subPathExpr=6:string recursiveReadOnly=7:string?',
  VolumeDevice: 'name=1:string devicePath=2:string',
  Probe:
    'handler=1:@ProbeHandler initialDelaySeconds=2:int timeoutSeconds=3:int periodSeconds=4:int successThreshold=5:int failureThreshold=6:int terminationGracePeriodSeconds=7:int?',
  ProbeHandler:
    'exec=1:ExecAction httpGet=2:HTTPGetAction tcpSocket=3:TCPSocketAction grpc=4:GRPCAction',
  ExecAction: 'command=1:[]string',
  HTTPGetAction:
    'path=1:string port=2:IntOrString host=3:string scheme=4:string httpHeaders=5:[]NameValue',
  NameValue: 'name=1:string value=2:string',
  TCPSocketAction: 'port=1:IntOrString host=2:string',
  GRPCAction: 'port=1:int service=2:string?',
  Lifecycle: 'postStart=1:LifecycleHandler preStop=2:LifecycleHandler stopSignal=3:string?',
  LifecycleHandler:
    'exec=1:ExecAction httpGet=2:HTTPGetAction tcpSocket=3:TCPSocketAction sleep=4:SleepAction',
  SleepAction: 'seconds=1:int',
  SecurityContext:
    'capabilities=1:Capabilities privileged=2:bool? seLinuxOptions=3:SELinuxOptions runAsUser=4:int? runAsNonRoot=5:bool? readOnlyRootFilesystem=6:bool? allowPrivilegeEscalation=7:bool? runAsGroup=8:int? procMount=9:string? windowsOptions=10:WindowsOptions seccompProfile=11:Profile appArmorProfile=12:Profile',
  Capabilities: 'add=1:[]string drop=2:[]string',
  SELinuxOptions: 'user=1:string role=2:string type=3:string level=4:string',
  Profile: 'type=1:string localhostProfile=2:string?',
  WindowsOptions:
    'gmsaCredentialSpecName=1:string? gmsaCredentialSpec=2:string? runAsUserName=3:string? hostProcess=4:bool?',
  PodSecurityContext:
    'seLinuxOptions=1:SELinuxOptions runAsUser=2:int? runAsNonRoot=3:bool? supplementalGroups=4:[]int fsGroup=5:int? runAsGroup=6:int? sysctls=7:[]NameValue windowsOptions=8:WindowsOptions fsGroupChangePolicy=9:string? seccompProfile=10:Profile appArmorProfile=11:Profile supplementalGroupsPolicy=12:string? seLinuxChangePolicy=13:string?',
  Affinity: 'nodeAffinity=1:NodeAffinity podAffinity=2:PodAffinity podAntiAffinity=3:PodAffinity',
  NodeAffinity:
    'requiredDuringSchedulingIgnoredDuringExecution=1:NodeSelector preferredDuringSchedulingIgnoredDuringExecution=2:[]PreferredSchedulingTerm',
  NodeSelector: 'nodeSelectorTerms=1:[]NodeSelectorTerm',
  NodeSelectorTerm:
    'matchExpressions=1:[]LabelSelectorRequirement matchFields=2:[]LabelSelectorRequirement',
  PreferredSchedulingTerm: 'weight=1:int preference=2:NodeSelectorTerm',
  PodAffinity:
    'requiredDuringSchedulingIgnoredDuringExecution=1:[]PodAffinityTerm preferredDuringSchedulingIgnoredDuringExecution=2:[]WeightedPodAffinityTerm',
  WeightedPodAffinityTerm: 'weight=1:int podAffinityTerm=2:PodAffinityTerm',
  PodAffinityTerm:
    'labelSelector=1:LabelSelector namespaces=2:[]string topologyKey=3:string namespaceSelector=4:LabelSelector matchLabelKeys=5:[]string mismatchLabelKeys=6:[]string',
  Toleration:
    'key=1:string operator=2:string value=3:string effect=4:string tolerationSeconds=5:int?',
  HostAlias: 'ip=1:string hostnames=2:[]string',
  PodDNSConfig: 'nameservers=1:[]string searches=2:[]string options=3:[]PodDNSConfigOption',
  PodDNSConfigOption: 'name=1:string value=2:string?',
  PodReadinessGate: 'conditionType=1:string',
  PodResourceClaim: 'name=1:string resourceClaimName=3:string? resourceClaimTemplateName=4:string?',
  WorkloadReference: 'name=1:string podGroup=2:string podGroupReplicaKey=3:string',
  TopologySpreadConstraint:
    'maxSkew=1:int topologyKey=2:string whenUnsatisfiable=3:string labelSelector=4:LabelSelector minDomains=5:int? nodeAffinityPolicy=6:string? nodeTaintsPolicy=7:string? matchLabelKeys=8:[]string',
  ContainerResizePolicy: 'resourceName=1:string restartPolicy=2:string',
  ContainerRestartRule: 'action=1:string exitCodes=2:ContainerRestartRuleOnExitCodes',
  ContainerRestartRuleOnExitCodes: 'operator=1:string values=2:[]int',
  Volume: 'name=1:string source=2:@VolumeSource',
  VolumeSource:
    'hostPath=1:HostPathVolumeSource emptyDir=2:EmptyDirVolumeSource gcePersistentDisk=3:Opaque awsElasticBlockStore=4:Opaque gitRepo=5:Opaque secret=6:SecretVolumeSource nfs=7:NFSVolumeSource iscsi=8:Opaque glusterfs=9:Opaque persistentVolumeClaim=10:PersistentVolumeClaimVolumeSource rbd=11:Opaque flexVolume=12:Opaque cinder=13:Opaque cephfs=14:Opaque flocker=15:Opaque downwardAPI=16:DownwardAPIVolumeSource fc=17:Opaque azureFile=18:Opaque configMap=19:ConfigMapVolumeSource vsphereVolume=20:Opaque quobyte=21:Opaque azureDisk=22:Opaque photonPersistentDisk=23:Opaque portworxVolume=24:Opaque scaleIO=25:Opaque projected=26:ProjectedVolumeSource storageos=27:Opaque csi=28:CSIVolumeSource ephemeral=29:Opaque image=30:ImageVolumeSource',
  HostPathVolumeSource: 'path=1:string type=2:string?',
  EmptyDirVolumeSource: 'medium=1:string sizeLimit=2:Quantity',
  SecretVolumeSource: 'secretName=1:string items=2:[]KeyToPath defaultMode=3:int? optional=4:bool?',
  KeyToPath: 'key=1:string path=2:string mode=3:int?',
  ConfigMapVolumeSource:
    'ref=1:@LocalObjectReference items=2:[]KeyToPath defaultMode=3:int? optional=4:bool?',
  NFSVolumeSource: 'server=1:string path=2:string readOnly=3:bool',
  PersistentVolumeClaimVolumeSource: 'claimName=1:string readOnly=2:bool',
  DownwardAPIVolumeSource: 'items=1:[]DownwardAPIVolumeFile defaultMode=2:int?',
  DownwardAPIVolumeFile:
    'path=1:string fieldRef=2:ObjectFieldSelector resourceFieldRef=3:ResourceFieldSelector mode=4:int?',
  ProjectedVolumeSource: 'sources=1:[]VolumeProjection defaultMode=2:int?',
  VolumeProjection:
    'secret=1:KeyProjection downwardAPI=2:DownwardAPIProjection configMap=3:KeyProjection serviceAccountToken=4:ServiceAccountTokenProjection clusterTrustBundle=5:Opaque podCertificate=6:Opaque',
  KeyProjection: 'ref=1:@LocalObjectReference items=2:[]KeyToPath optional=4:bool?',
  DownwardAPIProjection: 'items=1:[]DownwardAPIVolumeFile',
  ServiceAccountTokenProjection: 'audience=1:string expirationSeconds=2:int? path=3:string',
  CSIVolumeSource:
    'driver=1:string readOnly=2:bool? fsType=3:string? volumeAttributes=4:map<string> nodePublishSecretRef=5:LocalObjectReference',
  ImageVolumeSource: 'reference=1:string pullPolicy=2:string',
  Secret:
    'metadata=1:ObjectMeta data=2:map<bytes> type=3:string stringData=4:map<string> immutable=5:bool?',
  ConfigMap: 'metadata=1:ObjectMeta data=2:map<string> binaryData=3:map<bytes> immutable=4:bool?',
  ResourceQuota: 'metadata=1:ObjectMeta spec=2:ResourceQuotaSpec status=3:Opaque',
  ResourceQuotaSpec: 'hard=1:map<Quantity> scopes=2:[]string scopeSelector=3:Opaque',
  PriorityClass:
    'metadata=1:ObjectMeta value=2:int globalDefault=3:bool description=4:string preemptionPolicy=5:string',
  Namespace: 'metadata=1:ObjectMeta spec=2:NamespaceSpec status=3:Opaque',
  NamespaceSpec: 'finalizers=1:[]string',
  ServiceAccount:
    'metadata=1:ObjectMeta secrets=2:[]ObjectReference imagePullSecrets=3:[]LocalObjectReference automountServiceAccountToken=4:bool?',
  ObjectReference:
    'kind=1:string namespace=2:string name=3:string uid=4:string apiVersion=5:string resourceVersion=6:string fieldPath=7:string',
  Event:
    'metadata=1:ObjectMeta involvedObject=2:ObjectReference reason=3:string message=4:string source=5:EventSource firstTimestamp=6:Time lastTimestamp=7:Time count=8:int type=9:string eventTime=10:MicroTime series=11:EventSeries action=12:string related=13:ObjectReference reportingComponent=14:string reportingInstance=15:string',
  EventV1:
    'metadata=1:ObjectMeta eventTime=2:MicroTime series=3:EventSeries reportingController=4:string reportingInstance=5:string action=6:string reason=7:string regarding=8:ObjectReference related=9:ObjectReference note=10:string type=11:string deprecatedSource=12:EventSource deprecatedFirstTimestamp=13:Time deprecatedLastTimestamp=14:Time deprecatedCount=15:int',
  EventSource: 'component=1:string host=2:string',
  EventSeries: 'count=1:int lastObservedTime=2:MicroTime',
  Node: 'metadata=1:ObjectMeta spec=2:NodeSpec status=3:Opaque',
  NodeSpec:
    'podCIDR=1:string externalID=2:string providerID=3:string unschedulable=4:bool taints=5:[]Taint podCIDRs=7:[]string',
  Taint: 'key=1:string value=2:string effect=3:string timeAdded=4:Time',

  // policy/v1, authorization.k8s.io/v1, authentication.k8s.io/v1
  Eviction: 'metadata=1:ObjectMeta deleteOptions=2:DeleteOptions',
  SelfSubjectAccessReview:
    'metadata=1:ObjectMeta spec=2:SelfSubjectAccessReviewSpec status=3:Opaque',
  SelfSubjectAccessReviewSpec:
    'resourceAttributes=1:ResourceAttributes nonResourceAttributes=2:NonResourceAttributes',
  ResourceAttributes:
    'namespace=1:string verb=2:string group=3:string version=4:string resource=5:string subresource=6:string name=7:string fieldSelector=8:Opaque labelSelector=9:Opaque',
  NonResourceAttributes: 'path=1:string verb=2:string',
  SelfSubjectRulesReview: 'metadata=1:ObjectMeta spec=2:SelfSubjectRulesReviewSpec status=3:Opaque',
  SelfSubjectRulesReviewSpec: 'namespace=1:string',
  SelfSubjectReview: 'metadata=1:ObjectMeta status=2:Opaque',

  // What objects come in.
  Unknown: 'typeMeta=1:@TypeMeta raw=2:bytes contentEncoding=3:string contentType=4:string',
  TypeMeta: 'apiVersion=1:string kind=2:string',
} as const;

/** Name of a message. */
export type MessageName = keyof typeof MESSAGES;

/** A field of a message. */
export interface MessageField {
  readonly name: string;
  /** A message, a scalar, or what has a form of its own in JSON. */
  readonly type: string;
  readonly shape: 'single' | 'list' | 'map' | 'inline';
  /** A value of zero was set, and is kept. */
  readonly keepsZero: boolean;
}

/** The fields of a message by their numbers. */
export type Message = ReadonlyMap<number, MessageField>;

/** Kinds that may come as protobuf, whatever their group. */
export const PROTOBUF_KINDS: ReadonlySet<string> = new Set<MessageName>([
  'ConfigMap',
  'CronJob',
  'DeleteOptions',
  'Event',
  'Eviction',
  'Job',
  'Namespace',
  'Node',
  'Pod',
  'PriorityClass',
  'ResourceQuota',
  'Secret',
  'SelfSubjectAccessReview',
  'SelfSubjectReview',
  'SelfSubjectRulesReview',
  'ServiceAccount',
]);

const parsed = new Map<string, Message>();

/** The fields of a message; null when there is no message of this name. */
export function messageOf(name: string): Message | null {
  const known = parsed.get(name);
  if (known !== undefined) return known;
  if (!Object.hasOwn(MESSAGES, name)) return null;
  const message = new Map(MESSAGES[name as MessageName].split(' ').map(parseField));
  parsed.set(name, message);
  return message;
}

const FIELD = /^(\w+)=(\d+):(\[\]|map<|@)?(\w+)>?(\?)?$/;
const SHAPES = { '[]': 'list', 'map<': 'map', '@': 'inline' } as const;

function parseField(text: string): [number, MessageField] {
  const [, name = '', number = '', shape = '', type = '', mark] = FIELD.exec(text) ?? [];
  return [
    Number(number),
    {
      name,
      type,
      shape: SHAPES[shape as '[]'] ?? 'single',
      keepsZero: mark === '?',
    },
  ];
}
