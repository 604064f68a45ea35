import type { ConfigKeySelector, EnvFromSource, ResourceFieldSelector } from '@drover/shared';

import {
  ConfigProblem,
  NO_CONFIGS,
  type ConfigKind,
  type ConfigSet,
} from '../configs/configContent.ts';

/** An environment variable of a container, as the pod template has it. */
export interface EnvironmentVariable {
  /** Name; a later entry of the same name wins. */
  readonly name: string;
  /** Value with `$(NAME)` references. Default empty. */
  readonly value?: string | undefined;
  /** Where the value comes from instead. */
  readonly valueFrom?:
    | {
        /** A field of the pod, such as `metadata.name` or `metadata.labels['app']`. */
        readonly fieldRef?: { readonly fieldPath: string } | undefined;
        /** A resource of a container. */
        readonly resourceFieldRef?: ResourceFieldSelector | undefined;
        /** A key of a ConfigMap; only one that is a text. */
        readonly configMapKeyRef?: ConfigKeySelector | undefined;
        /** A key of a Secret. */
        readonly secretKeyRef?: ConfigKeySelector | undefined;
      }
    | undefined;
}

/** What fieldRef can see of a pod. */
export interface PodFacts {
  /** metadata.name */
  readonly name: string;
  /** metadata.namespace */
  readonly namespace: string;
  /** metadata.uid */
  readonly uid: string;
  /** metadata.labels */
  readonly labels: Readonly<Record<string, string>>;
  /** metadata.annotations */
  readonly annotations: Readonly<Record<string, string>>;
  /** spec.nodeName: the worker it runs on. */
  readonly nodeName: string;
  /** spec.serviceAccountName; there are none here, but a program may ask for the name. */
  readonly serviceAccountName: string;
  /** Address of the worker, for status.hostIP and status.podIP; a process has no other. */
  readonly hostIP: string;
  /** Host name the pod sees: spec.hostname, else its name. */
  readonly hostname: string;
}

/** Where variables come from that are neither in the template nor fields of the pod. */
export interface EnvironmentSources {
  /** Variables before those that are named one by one. */
  readonly envFrom: readonly EnvFromSource[];
  /** What was read for the container. */
  readonly configs: ConfigSet;
  /** The value of a resource. */
  readonly resource: (field: ResourceFieldSelector) => string;
}

const NO_SOURCES: EnvironmentSources = { envFrom: [], configs: NO_CONFIGS, resource: () => '' };

/** The environment of a container. */
export interface ContainerEnvironment {
  /** Variables of the pod template alone, expanded: what `$(NAME)` in command and args may name. */
  readonly declared: Record<string, string>;
  /** All the program gets. */
  readonly all: Record<string, string>;
}

/** Variables of the worker that its programs get too; none of them is a place for secrets. */
const INHERITED_NAMES = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ'] as const;
/** PATH when the worker has none: that of container images. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * What every program gets: PATH, HOME, TMPDIR, LANG and TZ of the worker, as far as it has them.
 * Nothing else of the worker's environment reaches a pod.
 */
export function baseEnvironment(
  worker: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const base: Record<string, string> = { PATH: DEFAULT_PATH, HOME: '/' };
  for (const name of INHERITED_NAMES) {
    const value = worker[name];
    if (value !== undefined && value !== '') base[name] = value;
  }
  return base;
}

/**
 * Builds the environment of a container: the base, HOSTNAME, then the variables of its template,
 * which may override both.
 *
 * As in Kubernetes a value may refer to variables that come before it in the list, never to
 * those of the base.
 *
 * @param given - Variables of the pod before those of the template, which may refer to them.
 * @throws Error for a fieldPath that is not one of Kubernetes' for environment variables.
 * @throws ConfigProblem when a ConfigMap, a Secret or a key is missing.
 */
export function buildEnvironment(
  variables: readonly EnvironmentVariable[],
  pod: PodFacts,
  base: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>> = {},
  sources: EnvironmentSources = NO_SOURCES,
): ContainerEnvironment {
  // Without a prototype: a variable may be called __proto__.
  const declared: Record<string, string> = Object.assign(Object.create(null), given);
  for (const source of sources.envFrom) {
    for (const [name, text] of textsOf(source, sources.configs)) declared[name] = text;
  }
  for (const { name, value, valueFrom } of variables) {
    const text =
      valueFrom === undefined
        ? expandVariables(value ?? '', declared)
        : readSource(valueFrom, pod, sources);
    // An optional key that is missing leaves what was there before.
    if (text !== null) declared[name] = checked(name, text);
  }
  return { declared, all: { ...base, HOSTNAME: pod.hostname, ...declared } };
}

/**
 * Replaces `$(NAME)` by the variable's value and `$$` by `$`, so that `$$(NAME)` stays text.
 * References to what is not defined, and a `$` before anything else, stay as they are.
 *
 * @see third_party/forked/golang/expansion/expand.go in kubernetes
 */
export function expandVariables(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) => {
    if (name === undefined) return '$';
    return Object.hasOwn(variables, name) ? (variables[name] ?? '') : match;
  });
}

/** All variables of a ConfigMap or Secret. Every key of theirs may be a variable's name. */
function textsOf(
  { prefix = '', configMapRef, secretRef }: EnvFromSource,
  configs: ConfigSet,
): [string, string][] {
  const kind = configMapRef === undefined ? 'Secret' : 'ConfigMap';
  const { name = '', optional } = configMapRef ?? secretRef ?? {};
  const content = configs.get({ kind, name }, optional);
  return Object.entries(content?.texts ?? {}).map(([key, text]) => [
    `${prefix}${key}`,
    checked(`${prefix}${key}`, text),
  ]);
}

/** null = an optional key is missing. */
function readSource(
  source: NonNullable<EnvironmentVariable['valueFrom']>,
  pod: PodFacts,
  { configs, resource }: EnvironmentSources,
): string | null {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = source;
  if (fieldRef !== undefined) return podField(fieldRef.fieldPath, pod);
  if (resourceFieldRef !== undefined) return resource(resourceFieldRef);
  if (configMapKeyRef !== undefined) return readKey('ConfigMap', configMapKeyRef, pod, configs);
  return secretKeyRef === undefined ? '' : readKey('Secret', secretKeyRef, pod, configs);
}

function readKey(
  kind: ConfigKind,
  { name, key, optional }: ConfigKeySelector,
  { namespace }: PodFacts,
  configs: ConfigSet,
): string | null {
  const { texts = {} } = configs.get({ kind, name }, optional) ?? {};
  if (Object.hasOwn(texts, key)) return texts[key] ?? '';
  if (optional === true) return null;
  throw new ConfigProblem(`couldn't find key ${key} in ${kind} ${namespace}/${name}`);
}

/** The operating system ends a variable at a NUL; the value is not shown, since it may be secret. */
function checked(name: string, text: string): string {
  if (!text.includes('\0')) return text;
  throw new ConfigProblem(`variable ${name}: its value contains a NUL character`);
}

/**
 * A field of a pod as text: one that a variable or a file can have.
 *
 * @throws Error for another path.
 */
export function podField(path: string, pod: PodFacts): string {
  const [, map, key] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? [];
  if (map !== undefined && key !== undefined) {
    const values = map === 'labels' ? pod.labels : pod.annotations;
    return Object.hasOwn(values, key) ? (values[key] ?? '') : '';
  }
  switch (path) {
    case 'metadata.labels':
      return mapText(pod.labels);
    case 'metadata.annotations':
      return mapText(pod.annotations);
    case 'metadata.name':
      return pod.name;
    case 'metadata.namespace':
      return pod.namespace;
    case 'metadata.uid':
      return pod.uid;
    case 'spec.nodeName':
      return pod.nodeName;
    case 'spec.serviceAccountName':
      return pod.serviceAccountName;
    case 'status.hostIP':
    case 'status.hostIPs':
    case 'status.podIP':
    case 'status.podIPs':
      return pod.hostIP;
    default:
      throw new Error(`fieldRef ${path}: not a field that a variable or a file can take`);
  }
}

/** Labels as Kubernetes writes them into a file: `key="value"`, a line each, in order of the keys. */
function mapText(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${quoted(value)}\n`)
    .join('');
}

/** In double quotes as Go writes them: control characters have other names there than in JSON. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(/\\u00([01][0-9a-f])/g, (_match, hex: string) =>
    hex === '07' ? '\\a' : hex === '0b' ? '\\v' : `\\x${hex}`,
  );
}
