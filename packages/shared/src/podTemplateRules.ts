/** The rules for a pod template that its types alone do not say. */

import { probeIssues } from './probe.ts';
import { isSidecar } from './pod.ts';
import { containerLifeIssues } from './containerLife.ts';
import {
  configKeyIssues,
  configNameIssues,
  type EnvFromSource,
  type ObjectFieldSelector,
} from './configRefs.ts';
import {
  duplicate,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
  type ValidationIssue,
  inRange,
} from './issues.ts';
import { labelsIssues } from './labels.ts';
import { strayCronAnnotationIssues } from './cron/annotations.ts';
import { annotationsIssues } from './meta.ts';
import {
  dnsLabelProblems,
  dnsSubdomainProblems,
  envNameProblems,
  handlerNameProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from './names.ts';
import { clientAnnotationIssues } from './podClient.ts';
import {
  FIELD_PATHS,
  type Container,
  type ContainerSecurityContext,
  type EnvVar,
  type PodSecurityContext,
  type PodSpec,
  type PodTemplateSpec,
  type ResourceRequirements,
} from './podTemplate.ts';
import { volumeMountsIssues, volumesIssues } from './podVolumeRules.ts';
import { compareQuantities, parseQuantity, type Quantity } from './quantity.ts';
import { resourceFieldIssues } from './resourceField.ts';
import { POOL_LABEL, RUNTIMES, runtimeOf, type Runtime } from './runtime.ts';
import { notYet } from './supported.ts';

const MAX_INT32 = 2 ** 31 - 1;

/** Whether the value at a path is what the user gave, or a stand-in for something unsound. */
export type IsSound = (path: string) => boolean;

/** What is wrong with a template at `path`, `spec.template` for a Job's. */
export function podTemplateIssues(
  { metadata, spec }: PodTemplateSpec,
  path: string,
  isSound: IsSound,
): ValidationIssue[] {
  return [
    // Kubernetes checks both as part of the template, not of its metadata.
    ...labelsIssues(metadata.labels, `${path}.labels`),
    ...annotationsIssues(metadata.annotations, `${path}.annotations`),
    ...clientAnnotationIssues(metadata.annotations, `${path}.metadata.annotations`),
    ...strayCronAnnotationIssues(metadata.annotations, `${path}.metadata.annotations`),
    ...podSpecIssues(spec, `${path}.spec`, isSound),
  ];
}

function podSpecIssues(spec: PodSpec, path: string, isSound: IsSound): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (spec.activeDeadlineSeconds !== undefined) {
    const deadlinePath = `${path}.activeDeadlineSeconds`;
    issues.push(...inRange(deadlinePath, spec.activeDeadlineSeconds, 1, MAX_INT32));
  }
  if (spec.hostnameOverride !== undefined) {
    issues.push(...hostnameOverrideIssues(spec.hostnameOverride, `${path}.hostnameOverride`));
  }
  if (spec.hostname !== undefined && spec.hostname !== '') {
    const problems = dnsLabelProblems(spec.hostname);
    issues.push(...invalidEach(`${path}.hostname`, spec.hostname, problems));
  }
  if (spec.priorityClassName !== undefined && spec.priorityClassName !== '') {
    const problems = dnsSubdomainProblems(spec.priorityClassName);
    issues.push(...invalidEach(`${path}.priorityClassName`, spec.priorityClassName, problems));
  }
  issues.push(...nodeSelectorIssues(spec.nodeSelector ?? {}, `${path}.nodeSelector`));

  const runtime = runtimeOf(spec);
  const isRuntimeSound = isSound(`${path}.runtimeClassName`);
  if (runtime === null) {
    issues.push(...runtimeIssues(spec.runtimeClassName ?? '', `${path}.runtimeClassName`));
  }
  issues.push(...volumesIssues(spec, `${path}.volumes`));
  issues.push(...podSecurityIssues(spec.securityContext, `${path}.securityContext`));
  issues.push(...allContainersIssues(spec, path, isRuntimeSound ? runtime : null));
  return issues;
}

function runtimeIssues(name: string, path: string): ValidationIssue[] {
  if (name === 'docker') return [forbidden(path, notYet('containers on a Docker engine'))];
  const problems = dnsSubdomainProblems(name);
  if (problems.length > 0) return invalidEach(path, name, problems);
  return [notSupported(path, name, RUNTIMES)];
}

function nodeSelectorIssues(
  selector: Readonly<Record<string, string>>,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const [key, value] of Object.entries(selector)) {
    const here = `${path}[${key}]`;
    const problems = [...qualifiedNameProblems(key), ...labelValueProblems(value)];
    if (problems.length > 0) {
      issues.push(...invalidEach(here, value, problems));
    } else if (key !== POOL_LABEL) {
      issues.push(forbidden(here, `workers have no labels to select by but ${POOL_LABEL}`));
    } else {
      // Queues are named after pools, so a pool is what can be part of a name.
      issues.push(...invalidEach(here, value, dnsLabelProblems(value)));
    }
  }
  return issues;
}

function podSecurityIssues(
  { runAsUser, runAsGroup, fsGroup, supplementalGroups = [], runAsNonRoot }: PodSecurityContext,
  path: string,
): ValidationIssue[] {
  const issues = Object.entries({ runAsUser, runAsGroup, fsGroup }).flatMap(([field, id]) =>
    id === undefined ? [] : inRange(`${path}.${field}`, id, 0, MAX_INT32),
  );
  for (const [at, id] of supplementalGroups.entries()) {
    issues.push(...inRange(`${path}.supplementalGroups[${at}]`, id, 0, MAX_INT32));
  }
  if (runAsNonRoot === true && runAsUser === 0) issues.push(rootIssue(path));
  return issues;
}

/** Of a container, for which what it says itself comes before what its pod says. */
function securityIssues(
  { runAsUser, runAsGroup, runAsNonRoot }: ContainerSecurityContext,
  pod: PodSecurityContext,
  path: string,
): ValidationIssue[] {
  const issues = Object.entries({ runAsUser, runAsGroup }).flatMap(([field, id]) =>
    id === undefined ? [] : inRange(`${path}.${field}`, id, 0, MAX_INT32),
  );
  // What the pod says all by itself is its own mistake.
  const isOwn = runAsUser === 0 || runAsNonRoot === true;
  const isRoot = (runAsUser ?? pod.runAsUser) === 0;
  if (isOwn && isRoot && (runAsNonRoot ?? pod.runAsNonRoot) === true) issues.push(rootIssue(path));
  return issues;
}

function rootIssue(path: string): ValidationIssue {
  return invalid(`${path}.runAsNonRoot`, true, 'may not be true when runAsUser is 0');
}

/** Longest name of a host that Linux has. */
const MAX_HOSTNAME_CHARS = 64;

function hostnameOverrideIssues(name: string, path: string): ValidationIssue[] {
  const issues = invalidEach(path, name, dnsSubdomainProblems(name));
  if (name.length > MAX_HOSTNAME_CHARS) {
    issues.push(invalid(path, name, `must be no more than ${MAX_HOSTNAME_CHARS} characters`));
  }
  return issues;
}

/** What the containers of a pod are checked against. */
interface ContainerRules {
  readonly pod: PodSpec;
  /** null when it is not known; then nothing that hangs on it is checked. */
  readonly runtime: Runtime | null;
  readonly volumeNames: ReadonlySet<string>;
}

/** Containers and initContainers: names are unique among both. */
function allContainersIssues(
  pod: PodSpec,
  path: string,
  runtime: Runtime | null,
): ValidationIssue[] {
  const { containers, initContainers = [], volumes = [] } = pod;
  const issues: ValidationIssue[] = [];
  if (containers.length === 0) issues.push(required(`${path}.containers`));
  if (runtime === 'handler' && containers.length > 1) {
    issues.push(forbidden(`${path}.containers[1]`, 'a handler is the only container of its pod'));
  }
  const rules = { pod, runtime, volumeNames: new Set(volumes.map(({ name }) => name)) };
  const names = new Set<string>();
  const all = [
    ...initContainers.map((container, at) => ({
      container,
      here: `${path}.initContainers[${at}]`,
      isInit: true,
    })),
    ...containers.map((container, at) => ({
      container,
      here: `${path}.containers[${at}]`,
      isInit: false,
    })),
  ];
  const graceSeconds = Math.max(1, pod.terminationGracePeriodSeconds);
  for (const { container, here, isInit } of all) {
    const { name } = container;
    if (name === '') issues.push(required(`${here}.name`));
    else issues.push(...invalidEach(`${here}.name`, name, dnsLabelProblems(name)));
    if (name !== '' && names.has(name)) issues.push(duplicate(`${here}.name`, name));
    names.add(name);
    issues.push(...containerIssues(container, here, rules));
    issues.push(...containerLifeIssues(container, here, { isInit, graceSeconds }));
    issues.push(...probeIssues(container, here, !isInit || isSidecar(container)));
  }
  return issues;
}

function containerIssues(
  container: Container,
  path: string,
  { pod, runtime, volumeNames }: ContainerRules,
): ValidationIssue[] {
  const { image = '', command = [], args = [], env = [], ports = [], resources } = container;
  const { envFrom = [], volumeMounts = [] } = container;
  const issues: ValidationIssue[] = [];
  if (image.trim() !== image) {
    issues.push(invalid(`${path}.image`, image, 'must not have leading or trailing whitespace'));
  } else if (runtime === 'handler') {
    issues.push(...handlerImageIssues(image, `${path}.image`));
  }
  if (runtime === 'process') issues.push(...commandIssues(command, `${path}.command`));
  for (const [field, texts] of Object.entries({ command, args })) {
    for (const [at, text] of texts.entries()) {
      issues.push(...nulIssues(`${path}.${field}[${at}]`, text));
    }
  }
  issues.push(...nulIssues(`${path}.workingDir`, container.workingDir ?? ''));
  for (const [at, variable] of env.entries()) {
    issues.push(...envIssues(variable, `${path}.env[${at}]`, pod, container.name));
  }
  for (const [at, source] of envFrom.entries()) {
    issues.push(...envFromIssues(source, `${path}.envFrom[${at}]`));
  }
  for (const [at, port] of ports.entries()) {
    const here = `${path}.ports[${at}]`;
    issues.push(...inRange(`${here}.containerPort`, port.containerPort, 1, 65535));
    if (port.hostPort !== undefined) {
      issues.push(...inRange(`${here}.hostPort`, port.hostPort, 0, 65535));
    }
  }
  issues.push(...resourcesIssues(resources, `${path}.resources`));
  const { securityContext = {} } = container;
  issues.push(...securityIssues(securityContext, pod.securityContext, `${path}.securityContext`));
  issues.push(...volumeMountsIssues(volumeMounts, `${path}.volumeMounts`, volumeNames));
  return issues;
}

function handlerImageIssues(image: string, path: string): ValidationIssue[] {
  if (image === '') return [required(path, 'the name under which the handler is registered')];
  return invalidEach(path, image, handlerNameProblems(image));
}

function commandIssues(command: readonly string[], path: string): ValidationIssue[] {
  if (command.length === 0) {
    const why = "the process runtime can't know the entrypoint of an image";
    return [required(path, `${why}: give the program and its arguments`)];
  }
  return command[0] === '' ? [invalid(`${path}[0]`, '', 'must name a program')] : [];
}

/** The operating system ends an argument at a NUL; what is behind it would be lost in silence. */
function nulIssues(path: string, text: string): ValidationIssue[] {
  return text.includes('\0') ? [invalid(path, text, 'must not contain NUL characters')] : [];
}

function envFromIssues(
  { prefix = '', configMapRef, secretRef }: EnvFromSource,
  path: string,
): ValidationIssue[] {
  const issues = invalidEach(`${path}.prefix`, prefix, envNameProblems(prefix));
  if (configMapRef !== undefined && secretRef !== undefined) {
    issues.push(invalid(path, undefined, ONE_SOURCE));
  } else if (configMapRef !== undefined) {
    issues.push(...configNameIssues(configMapRef.name, `${path}.configMapRef.name`));
  } else if (secretRef !== undefined) {
    issues.push(...configNameIssues(secretRef.name, `${path}.secretRef.name`));
  } else {
    issues.push(invalid(path, undefined, 'must specify one of: `configMapRef` or `secretRef`'));
  }
  return issues;
}

const ONE_SOURCE = 'may not have more than one field specified at a time';

function envIssues(
  { name, value = '', valueFrom }: EnvVar,
  path: string,
  pod: PodSpec,
  container: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] =
    name === ''
      ? [required(`${path}.name`)]
      : invalidEach(`${path}.name`, name, envNameProblems(name));
  issues.push(...nulIssues(`${path}.value`, value));
  if (valueFrom === undefined) return issues;

  const sourcePath = `${path}.valueFrom`;
  const sources = Object.values(valueFrom).filter((source) => source !== undefined);
  if (sources.length === 0) {
    const choices = '`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`';
    issues.push(invalid(sourcePath, undefined, `must specify one of: ${choices}`));
  } else if (value !== '') {
    const detail = 'may not be specified when `value` is not empty';
    issues.push(invalid(sourcePath, undefined, detail));
  } else if (sources.length > 1) {
    issues.push(invalid(sourcePath, undefined, ONE_SOURCE));
  }
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef !== undefined) issues.push(...fieldRefIssues(fieldRef, `${sourcePath}.fieldRef`));
  if (resourceFieldRef !== undefined) {
    const here = `${sourcePath}.resourceFieldRef`;
    issues.push(...resourceFieldIssues(resourceFieldRef, here, pod, container));
  }
  for (const [field, ref] of Object.entries({ configMapKeyRef, secretKeyRef })) {
    if (ref !== undefined) issues.push(...configKeyIssues(ref, `${sourcePath}.${field}`));
  }
  return issues;
}

function fieldRefIssues(
  { apiVersion, fieldPath }: ObjectFieldSelector,
  path: string,
): ValidationIssue[] {
  const issues =
    apiVersion === 'v1' ? [] : [notSupported(`${path}.apiVersion`, apiVersion, ['v1'])];
  const here = `${path}.fieldPath`;
  if (fieldPath === '') return [...issues, required(here)];

  const key = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (key !== null) {
    const [, field, name = ''] = key;
    // Annotation keys may be in capitals, as in annotations themselves.
    const problems = qualifiedNameProblems(field === 'annotations' ? name.toLowerCase() : name);
    return [...issues, ...invalidEach(here, fieldPath, problems)];
  }
  if (FIELD_PATHS.some((known) => known === fieldPath)) return issues;
  const supported = [...FIELD_PATHS, "metadata.labels['k']", "metadata.annotations['k']"];
  return [...issues, notSupported(here, fieldPath, supported)];
}

function resourcesIssues(resources: ResourceRequirements, path: string): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const { limits = {}, requests = {} } = resources;
  for (const [kind, amounts] of Object.entries({ limits, requests })) {
    for (const [name, amount] of Object.entries(amounts)) {
      const here = `${path}.${kind}[${name}]`;
      issues.push(...invalidEach(here, name, qualifiedNameProblems(name)));
      if (quantity(amount).nano < 0n) {
        issues.push(invalid(here, amount, 'must be greater than or equal to 0'));
      }
      const limit = kind === 'requests' ? limits[name] : undefined;
      if (limit !== undefined && compareQuantities(quantity(amount), quantity(limit)) > 0) {
        const detail = `must be less than or equal to ${name} limit of ${limit}`;
        issues.push(invalid(`${path}.requests`, amount, detail));
      }
    }
  }
  return issues;
}

/** Amounts were parsed with the schema already; a stand-in for an unsound one is 0. */
function quantity(text: string): Quantity {
  return parseQuantity(text) ?? { nano: 0n, format: 'DecimalSI' };
}
