import {
  parseQuantity,
  type DownwardAPIVolumeFile,
  type KeyToPath,
  type PodSpec,
  type Volume,
} from '@drover/shared';

import { distinct, type ConfigRef } from './configs/configContent.ts';

/** A directory for the life of the pod. */
export interface PlannedEmptyDir {
  readonly type: 'emptyDir';
  readonly name: string;
  /** `medium: Memory`. */
  readonly inMemory: boolean;
  /** As the template has it; null: no limit. */
  readonly sizeLimit: string | null;
  /** Infinity: no limit. */
  readonly sizeLimitBytes: number;
}

/** Where files of a volume come from: the keys of an object, or the pod itself. */
export type FileSource =
  | {
      readonly type: 'keys';
      readonly ref: ConfigRef;
      /** null: all keys, each under its own name. */
      readonly items: readonly KeyToPath[] | null;
      readonly optional: boolean;
    }
  | { readonly type: 'fields'; readonly items: readonly DownwardAPIVolumeFile[] };

/** Files that are made for the pod. */
export interface PlannedFiles {
  readonly type: 'files';
  readonly name: string;
  /** Some of them are secret. */
  readonly inMemory: boolean;
  readonly sources: readonly FileSource[];
  /** Of files for which nothing else is said. */
  readonly mode: number;
}

/** Something that the worker's machine has. */
export interface PlannedHostPath {
  readonly type: 'hostPath';
  readonly name: string;
  readonly path: string;
  /** What it has to be, as in the template; empty: anything. */
  readonly kind: string;
}

/** A volume as the pod template has it, as far as it is the same for all pods. */
export type PlannedVolume = PlannedEmptyDir | PlannedFiles | PlannedHostPath;

const NANO = 1_000_000_000n;
const DEFAULT_MODE = 0o644;

/** Whom the volumes of a pod belong to. */
export interface VolumeOwner {
  /** fsGroup; null: the worker's. */
  readonly group: number | null;
  /** Other users than the worker's use them. */
  readonly isShared: boolean;
}

/** The volumes of a pod. */
export function planVolumes({ volumes = [] }: Partial<Pick<PodSpec, 'volumes'>>): PlannedVolume[] {
  return volumes.map((volume) => {
    const { name, hostPath, emptyDir } = volume;
    if (hostPath !== undefined) {
      return { type: 'hostPath', name, path: hostPath.path, kind: hostPath.type ?? '' };
    }
    return planFiles(volume) ?? planEmptyDir(name, emptyDir);
  });
}

/** ConfigMaps and Secrets that volumes are made from. */
export function volumeRefs(volumes: readonly PlannedVolume[]): ConfigRef[] {
  const sources = volumes.flatMap((volume) => (volume.type === 'files' ? volume.sources : []));
  return distinct(sources.flatMap((source) => (source.type === 'keys' ? [source.ref] : [])));
}

function planEmptyDir(name: string, emptyDir: Volume['emptyDir']): PlannedEmptyDir {
  const sizeLimit = emptyDir?.sizeLimit ?? null;
  const nano = sizeLimit === null ? null : (parseQuantity(sizeLimit)?.nano ?? null);
  return {
    type: 'emptyDir',
    name,
    inMemory: emptyDir?.medium === 'Memory',
    sizeLimit,
    // As in Kubernetes, where a limit of 0 is none.
    sizeLimitBytes: nano === null || nano === 0n ? Number.POSITIVE_INFINITY : Number(nano / NANO),
  };
}

function planFiles({
  name,
  configMap,
  secret,
  downwardAPI,
  projected,
}: Volume): PlannedFiles | null {
  const source = configMap ?? secret ?? downwardAPI ?? projected;
  if (source === undefined) return null;
  const sources = [
    ...(configMap === undefined ? [] : [keysOf('ConfigMap', configMap.name, configMap)]),
    ...(secret === undefined ? [] : [keysOf('Secret', secret.secretName, secret)]),
    ...(downwardAPI === undefined ? [] : [fieldsOf(downwardAPI)]),
    ...(projected?.sources ?? []).flatMap((part) => [
      ...(part.configMap === undefined
        ? []
        : [keysOf('ConfigMap', part.configMap.name, part.configMap)]),
      ...(part.secret === undefined ? [] : [keysOf('Secret', part.secret.name, part.secret)]),
      ...(part.downwardAPI === undefined ? [] : [fieldsOf(part.downwardAPI)]),
    ]),
  ];
  return {
    type: 'files',
    name,
    inMemory: sources.some((one) => one.type === 'keys' && one.ref.kind === 'Secret'),
    sources,
    // Validation writes it into every template, so this is for what came another way.
    mode: (source as Partial<typeof source>).defaultMode ?? DEFAULT_MODE,
  };
}

function keysOf(
  kind: ConfigRef['kind'],
  name: string,
  keys: { readonly items?: KeyToPath[] | undefined; readonly optional?: boolean | undefined },
): FileSource {
  const { items, optional = false } = keys;
  // An empty list is none, as in Kubernetes.
  const some = items === undefined || items.length === 0 ? null : items;
  return { type: 'keys', ref: { kind, name }, items: some, optional };
}

function fieldsOf({
  items = [],
}: {
  readonly items?: DownwardAPIVolumeFile[] | undefined;
}): FileSource {
  return { type: 'fields', items };
}
