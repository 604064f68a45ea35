/** The rules for volumes and their mounts. */

import {
  duplicate,
  forbidden,
  invalid,
  invalidEach,
  notFound,
  notSupported,
  required,
  type ValidationIssue,
} from './issues.ts';
import { dnsLabelProblems } from './names.ts';
import type { PodSpec } from './podTemplate.ts';
import { fileSourceIssues } from './podVolumeFiles.ts';
import {
  HOST_PATH_TYPES,
  type HostPathVolumeSource,
  type Volume,
  type VolumeMount,
} from './podVolumes.ts';
import { parseQuantity } from './quantity.ts';

/** Where an emptyDir may lie. */
export const EMPTY_DIR_MEDIA = ['', 'Memory'] as const;

/** What is wrong with the volumes of a pod. */
export function volumesIssues(spec: PodSpec, path: string): ValidationIssue[] {
  const { volumes = [] } = spec;
  const issues: ValidationIssue[] = [];
  const names = new Set<string>();
  for (const [at, volume] of volumes.entries()) {
    const here = `${path}[${at}]`;
    const { name, emptyDir, ...others } = volume;
    if (name === '') issues.push(required(`${here}.name`));
    else issues.push(...invalidEach(`${here}.name`, name, dnsLabelProblems(name)));
    if (name !== '' && names.has(name)) issues.push(duplicate(`${here}.name`, name));
    names.add(name);
    const sources = [emptyDir, ...Object.values(others)].filter((source) => source !== undefined);
    if (sources.length > 1) issues.push(forbidden(here, 'may not specify more than 1 volume type'));
    if (emptyDir !== undefined) issues.push(...emptyDirIssues(emptyDir, `${here}.emptyDir`));
    const { hostPath } = others;
    if (hostPath !== undefined) issues.push(...hostPathIssues(hostPath, `${here}.hostPath`));
    issues.push(...fileSourceIssues(volume, here, spec));
  }
  return issues;
}

function emptyDirIssues(
  { medium = '', sizeLimit }: NonNullable<Volume['emptyDir']>,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (!EMPTY_DIR_MEDIA.some((known) => known === medium)) {
    issues.push(notSupported(`${path}.medium`, medium, EMPTY_DIR_MEDIA));
  }
  if (sizeLimit !== undefined && (parseQuantity(sizeLimit)?.nano ?? 0n) < 0n) {
    issues.push(invalid(`${path}.sizeLimit`, sizeLimit, 'must be greater than or equal to 0'));
  }
  return issues;
}

function hostPathIssues(
  { path: hostPath, type = '' }: HostPathVolumeSource,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (hostPath === '') issues.push(required(`${path}.path`));
  else if (hostPath.includes('\0')) {
    issues.push(invalid(`${path}.path`, hostPath, 'must not contain NUL characters'));
  } else if (!hostPath.startsWith('/')) {
    issues.push(invalid(`${path}.path`, hostPath, 'must be an absolute path'));
  } else if (hostPath.split('/').includes('..')) {
    issues.push(invalid(`${path}.path`, hostPath, "must not contain '..'"));
  }
  if (!HOST_PATH_TYPES.some((known) => known === type)) {
    issues.push(notSupported(`${path}.type`, type, HOST_PATH_TYPES));
  }
  return issues;
}

/** What is wrong with the mounts of a container in a pod with volumes of these names. */
export function volumeMountsIssues(
  mounts: readonly VolumeMount[],
  path: string,
  volumeNames: ReadonlySet<string>,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const mountPaths = new Set<string>();
  for (const [at, mount] of mounts.entries()) {
    const here = `${path}[${at}]`;
    if (mount.name === '') issues.push(required(`${here}.name`));
    else if (!volumeNames.has(mount.name)) issues.push(notFound(`${here}.name`, mount.name));
    const { mountPath, subPath = '', subPathExpr = '' } = mount;
    issues.push(...mountPathIssues(mountPath, `${here}.mountPath`));
    if (mountPath !== '' && mountPaths.has(normal(mountPath))) {
      issues.push(invalid(`${here}.mountPath`, mountPath, 'must be unique'));
    }
    mountPaths.add(normal(mountPath));
    issues.push(...subPathIssues(subPath, `${here}.subPath`));
    issues.push(...subPathIssues(subPathExpr, `${here}.subPathExpr`));
    if (subPath !== '' && subPathExpr !== '') {
      const detail = 'subPathExpr and subPath are mutually exclusive';
      issues.push(invalid(`${here}.subPathExpr`, subPathExpr, detail));
    }
  }
  return issues;
}

/** Two spellings of one directory are one mountPath. */
function normal(path: string): string {
  return path.replaceAll(/\/+/g, '/').replace(/(?<=.)\/$/, '');
}

function mountPathIssues(mountPath: string, path: string): ValidationIssue[] {
  if (mountPath === '') return [required(path)];
  if (mountPath.includes('\0')) {
    return [invalid(path, mountPath, 'must not contain NUL characters')];
  }
  if (!mountPath.startsWith('/')) return [invalid(path, mountPath, 'must be an absolute path')];
  if (mountPath.includes(':')) return [invalid(path, mountPath, "must not contain ':'")];
  if (mountPath.split('/').includes('..')) {
    return [invalid(path, mountPath, "must not contain '..'")];
  }
  const isRoot = normal(mountPath) === '/';
  return isRoot ? [invalid(path, mountPath, 'must not be the root directory')] : [];
}

function subPathIssues(subPath: string, path: string): ValidationIssue[] {
  const problems = subPathProblems(subPath);
  return invalidEach(path, subPath, problems);
}

/** What keeps a path from being one inside of a volume. */
export function subPathProblems(subPath: string): string[] {
  const problems: string[] = [];
  if (subPath.startsWith('/')) problems.push('must be a relative path');
  if (subPath.split('/').includes('..')) problems.push("must not contain '..'");
  if (subPath.includes('\0')) problems.push('must not contain NUL characters');
  return problems;
}
