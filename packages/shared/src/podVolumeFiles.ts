/** The rules for volumes whose files come from ConfigMaps, Secrets and the pod itself. */

import { configNameIssues } from './configRefs.ts';
import {
  duplicate,
  invalid,
  invalidEach,
  notSupported,
  required,
  type ValidationIssue,
} from './issues.ts';
import { configKeyProblems, qualifiedNameProblems } from './names.ts';
import type { PodSpec } from './podTemplate.ts';
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  ProjectedVolumeSource,
  Volume,
} from './podVolumes.ts';
import { resourceFieldIssues } from './resourceField.ts';

const MAX_MODE = 0o777;

/** Fields of the pod that a file can have, beside single labels and annotations. */
const FILE_FIELD_PATHS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'metadata.labels',
  'metadata.annotations',
] as const;

/** What is wrong with a volume as far as its files are made for the pod. */
export function fileSourceIssues(volume: Volume, path: string, spec: PodSpec): ValidationIssue[] {
  const { configMap, secret, downwardAPI, projected } = volume;
  const issues: ValidationIssue[] = [];
  if (configMap !== undefined) {
    const here = `${path}.configMap`;
    issues.push(...configNameIssues(configMap.name, `${here}.name`));
    issues.push(...modeIssues(configMap.defaultMode, `${here}.defaultMode`));
    issues.push(...keysIssues(configMap.items ?? [], `${here}.items`));
  }
  if (secret !== undefined) {
    const here = `${path}.secret`;
    issues.push(...configNameIssues(secret.secretName, `${here}.secretName`));
    issues.push(...modeIssues(secret.defaultMode, `${here}.defaultMode`));
    issues.push(...keysIssues(secret.items ?? [], `${here}.items`));
  }
  if (downwardAPI !== undefined) {
    const here = `${path}.downwardAPI`;
    issues.push(...modeIssues(downwardAPI.defaultMode, `${here}.defaultMode`));
    issues.push(...filesIssues(downwardAPI.items ?? [], `${here}.items`, spec));
  }
  if (projected !== undefined)
    issues.push(...projectedIssues(projected, `${path}.projected`, spec));
  return issues;
}

function projectedIssues(
  { sources = [], defaultMode }: ProjectedVolumeSource,
  path: string,
  spec: PodSpec,
): ValidationIssue[] {
  const issues = modeIssues(defaultMode, `${path}.defaultMode`);
  const paths = new Set<string>();
  const noteAll = (items: readonly { readonly path: string }[], here: string): void => {
    for (const [at, item] of items.entries()) {
      const isTwice = item.path !== '' && paths.has(item.path);
      if (isTwice)
        issues.push(invalid(`${here}[${at}].path`, item.path, 'conflicting duplicate paths'));
      paths.add(item.path);
    }
  };
  for (const [at, source] of sources.entries()) {
    const here = `${path}.sources[${at}]`;
    const set = Object.values(source).filter((one) => one !== undefined);
    if (set.length > 1) {
      issues.push(invalid(here, undefined, 'may not specify more than 1 volume type per source'));
    }
    for (const field of ['configMap', 'secret'] as const) {
      const keys = source[field];
      if (keys === undefined) continue;
      issues.push(...configNameIssues(keys.name, `${here}.${field}.name`));
      issues.push(...keysIssues(keys.items ?? [], `${here}.${field}.items`));
      noteAll(keys.items ?? [], `${here}.${field}.items`);
    }
    if (source.downwardAPI !== undefined) {
      const { items = [] } = source.downwardAPI;
      issues.push(...filesIssues(items, `${here}.downwardAPI.items`, spec));
      noteAll(items, `${here}.downwardAPI.items`);
    }
  }
  return issues;
}

function keysIssues(items: readonly KeyToPath[], path: string): ValidationIssue[] {
  return items.flatMap(({ key, path: file, mode }, at) => {
    const here = `${path}[${at}]`;
    const issues = key === '' ? [required(`${here}.key`)] : [];
    if (key !== '') issues.push(...invalidEach(`${here}.key`, key, configKeyProblems(key)));
    return [
      ...issues,
      ...filePathIssues(file, `${here}.path`),
      ...modeIssues(mode, `${here}.mode`),
    ];
  });
}

function filesIssues(
  items: readonly DownwardAPIVolumeFile[],
  path: string,
  spec: PodSpec,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const paths = new Set<string>();
  for (const [at, { path: file, fieldRef, resourceFieldRef, mode }] of items.entries()) {
    const here = `${path}[${at}]`;
    issues.push(...filePathIssues(file, `${here}.path`), ...modeIssues(mode, `${here}.mode`));
    if (file !== '' && paths.has(file)) issues.push(duplicate(`${here}.path`, file));
    paths.add(file);
    if (fieldRef !== undefined && resourceFieldRef !== undefined) {
      const detail = 'fieldRef and resourceFieldRef can not be specified simultaneously';
      issues.push(invalid(here, undefined, detail));
    } else if (fieldRef !== undefined) {
      issues.push(...fieldIssues(fieldRef, `${here}.fieldRef`));
    } else if (resourceFieldRef !== undefined) {
      const there = `${here}.resourceFieldRef`;
      issues.push(...resourceFieldIssues(resourceFieldRef, there, spec, null));
    } else {
      issues.push(required(here, 'one of fieldRef and resourceFieldRef is required'));
    }
  }
  return issues;
}

function fieldIssues(
  { apiVersion, fieldPath }: { readonly apiVersion: string; readonly fieldPath: string },
  path: string,
): ValidationIssue[] {
  const issues =
    apiVersion === 'v1' ? [] : [notSupported(`${path}.apiVersion`, apiVersion, ['v1'])];
  const here = `${path}.fieldPath`;
  if (fieldPath === '') return [...issues, required(here)];
  const [, field, key] = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath) ?? [];
  if (key !== undefined) {
    // Annotation keys may be in capitals, as in annotations themselves.
    const problems = qualifiedNameProblems(field === 'annotations' ? key.toLowerCase() : key);
    return [...issues, ...invalidEach(here, fieldPath, problems)];
  }
  if (FILE_FIELD_PATHS.some((known) => known === fieldPath)) return issues;
  return [...issues, notSupported(here, fieldPath, FILE_FIELD_PATHS)];
}

function filePathIssues(file: string, path: string): ValidationIssue[] {
  if (file === '') return [required(path)];
  if (file.includes('\0')) return [invalid(path, file, 'must not contain NUL characters')];
  if (file.startsWith('/')) return [invalid(path, file, 'must be a relative path')];
  if (file.split('/').includes('..')) return [invalid(path, file, "must not contain '..'")];
  return file.startsWith('..') ? [invalid(path, file, "must not start with '..'")] : [];
}

function modeIssues(mode: number | undefined, path: string): ValidationIssue[] {
  if (mode === undefined || (mode >= 0 && mode <= MAX_MODE)) return [];
  return [invalid(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive')];
}
