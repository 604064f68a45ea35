/** References of pods to their own fields and resources, to ConfigMaps and to Secrets. */

import * as z from 'zod';

import { invalidEach, required, type ValidationIssue } from './issues.ts';
import { configKeyProblems, dnsSubdomainProblems } from './names.ts';
import { ResourceQuantity } from './resourceQuantity.ts';

/** A field of the pod. */
export const ObjectFieldSelector = z.strictObject({
  /** Version of the pod's fields; `v1`. */
  apiVersion: z.string().default('v1'),
  /** `metadata.name` and the like, `metadata.labels['k']`, `metadata.annotations['k']`. */
  fieldPath: z.string(),
});
/** A field of the pod. */
export type ObjectFieldSelector = z.output<typeof ObjectFieldSelector>;

/** A key of a ConfigMap or Secret. */
export const ConfigKeySelector = z.strictObject({
  /** Name of the object. */
  name: z.string(),
  /** Which of its keys. */
  key: z.string(),
  /** The pod runs without it, too. Default false: it waits until it is there. */
  optional: z.boolean().optional(),
});
/** A key of a ConfigMap or Secret. */
export type ConfigKeySelector = z.output<typeof ConfigKeySelector>;

/** A ConfigMap or Secret as a whole. */
export const ConfigReference = z.strictObject({
  /** Name of the object. */
  name: z.string(),
  /** The pod runs without it, too. Default false: it waits until it is there. */
  optional: z.boolean().optional(),
});

/** A ConfigMap or Secret whose keys all become environment variables. Exactly one is named. */
export const EnvFromSource = z.strictObject({
  /** Put before each name. Default none. */
  prefix: z.string().optional(),
  /** A ConfigMap; its `binaryData` are left out. */
  configMapRef: ConfigReference.optional(),
  /** A Secret. */
  secretRef: ConfigReference.optional(),
});
/** A ConfigMap or Secret whose keys all become environment variables. */
export type EnvFromSource = z.output<typeof EnvFromSource>;

/** What a container asks for, or may take, of a resource. */
export const ResourceFieldSelector = z.strictObject({
  /** Which container of the pod. Default, in its environment: itself. */
  containerName: z.string().optional(),
  /** `limits.cpu`, `limits.memory`, `requests.memory` and the like. */
  resource: z.string(),
  /** The unit; what is left of one counts as one. Default 1: whole CPUs, bytes. */
  divisor: ResourceQuantity.optional(),
});
/** What a container asks for, or may take, of a resource. */
export type ResourceFieldSelector = z.output<typeof ResourceFieldSelector>;

/** What is wrong with the name of a ConfigMap or Secret. */
export function configNameIssues(name: string, path: string): ValidationIssue[] {
  return name === '' ? [required(path)] : invalidEach(path, name, dnsSubdomainProblems(name));
}

/** What is wrong with a reference to a key. */
export function configKeyIssues({ name, key }: ConfigKeySelector, path: string): ValidationIssue[] {
  const issues = configNameIssues(name, `${path}.name`);
  if (key === '') return [...issues, required(`${path}.key`)];
  return [...issues, ...invalidEach(`${path}.key`, key, configKeyProblems(key))];
}
