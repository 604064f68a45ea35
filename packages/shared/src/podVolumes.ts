/** Volumes of a pod, and where its containers mount them. */

import * as z from 'zod';

import { ObjectFieldSelector, ResourceFieldSelector } from './configRefs.ts';
import { ResourceQuantity } from './resourceQuantity.ts';

/** A key of a ConfigMap or Secret as a file. */
export const KeyToPath = z.strictObject({
  /** Which key. */
  key: z.string(),
  /** Where the file is in the volume; relative. */
  path: z.string(),
  /** Who may do what with it, 0 to 511 (octal 0777). Default that of the volume. */
  mode: z.int().optional(),
});
/** A key of a ConfigMap or Secret as a file. */
export type KeyToPath = z.output<typeof KeyToPath>;

/** The keys of a ConfigMap as files. */
const ConfigMapProjection = z.strictObject({
  /** Name of the ConfigMap. */
  name: z.string(),
  /** Only these keys, and where. Default: all, each under its own name. */
  items: z.array(KeyToPath).optional(),
  /** The pod runs without it, or without a key that is named, too. Default false: it waits. */
  optional: z.boolean().optional(),
});

/** The keys of a Secret as files. */
const SecretProjection = z.strictObject({
  /** Name of the Secret. */
  name: z.string(),
  /** Only these keys, and where. Default: all, each under its own name. */
  items: z.array(KeyToPath).optional(),
  /** The pod runs without it, or without a key that is named, too. Default false: it waits. */
  optional: z.boolean().optional(),
});

/** Mode of files for which nothing else is said: octal 0644. */
const DEFAULT_MODE = 0o644;

/** The keys of a ConfigMap as files. */
const ConfigMapVolumeSource = z.strictObject({
  /** Name of the ConfigMap. */
  name: z.string(),
  /** Only these keys, and where. Default: all, each under its own name. */
  items: z.array(KeyToPath).optional(),
  /** Who may do what with the files, 0 to 511 (octal 0777). Default 420 (octal 0644). */
  defaultMode: z.int().default(DEFAULT_MODE),
  /** The pod runs without it, or without a key that is named, too. Default false: it waits. */
  optional: z.boolean().optional(),
});

/** The keys of a Secret as files, which lie in memory. */
const SecretVolumeSource = z.strictObject({
  /** Name of the Secret. */
  secretName: z.string(),
  /** Only these keys, and where. Default: all, each under its own name. */
  items: z.array(KeyToPath).optional(),
  /** Who may do what with the files, 0 to 511 (octal 0777). Default 420 (octal 0644). */
  defaultMode: z.int().default(DEFAULT_MODE),
  /** The pod runs without it, or without a key that is named, too. Default false: it waits. */
  optional: z.boolean().optional(),
});

/** A field or resource of the pod as a file. Exactly one of both is named. */
export const DownwardAPIVolumeFile = z.strictObject({
  /** Where the file is in the volume; relative. */
  path: z.string(),
  /** A field of the pod: its name, namespace, uid, labels or annotations. */
  fieldRef: ObjectFieldSelector.optional(),
  /** A resource of a container. */
  resourceFieldRef: ResourceFieldSelector.optional(),
  /** Who may do what with it, 0 to 511 (octal 0777). Default that of the volume. */
  mode: z.int().optional(),
});
/** A field or resource of the pod as a file. */
export type DownwardAPIVolumeFile = z.output<typeof DownwardAPIVolumeFile>;

/** Fields and resources of the pod as files. */
export const DownwardAPIVolumeSource = z.strictObject({
  /** The files. */
  items: z.array(DownwardAPIVolumeFile).optional(),
  /** Who may do what with the files, 0 to 511 (octal 0777). Default 420 (octal 0644). */
  defaultMode: z.int().default(DEFAULT_MODE),
});

/** Files of several sources in one volume. */
export const ProjectedVolumeSource = z.strictObject({
  /** Where the files come from; exactly one field of each is set. */
  sources: z
    .array(
      z.strictObject({
        /** The keys of a ConfigMap. */
        configMap: ConfigMapProjection.optional(),
        /** The keys of a Secret. */
        secret: SecretProjection.optional(),
        /** Fields and resources of the pod. */
        downwardAPI: z
          .strictObject({
            /** The files. */
            items: z.array(DownwardAPIVolumeFile).optional(),
          })
          .optional(),
        /** Refused. */
        serviceAccountToken: z.unknown().optional(),
        /** Refused. */
        clusterTrustBundle: z.unknown().optional(),
        /** Refused. */
        podCertificate: z.unknown().optional(),
      }),
    )
    .optional(),
  /** Who may do what with the files, 0 to 511 (octal 0777). Default 420 (octal 0644). */
  defaultMode: z.int().default(DEFAULT_MODE),
});
/** Files of several sources in one volume. */
export type ProjectedVolumeSource = z.output<typeof ProjectedVolumeSource>;

/** What a hostPath may have to be. */
export const HOST_PATH_TYPES = [
  '',
  'DirectoryOrCreate',
  'Directory',
  'FileOrCreate',
  'File',
  'Socket',
  'CharDevice',
  'BlockDevice',
] as const;

/** A file or directory of the worker's machine. */
export const HostPathVolumeSource = z.strictObject({
  /** Where it is: an absolute path. */
  path: z.string(),
  /** What it has to be, or is made when it is missing; the pod waits until it is. Default empty: nothing is checked. */
  type: z.string().optional(),
});
/** A file or directory of the worker's machine. */
export type HostPathVolumeSource = z.output<typeof HostPathVolumeSource>;

/** A directory that is made for the pod and removed at its end. */
export const EmptyDirVolumeSource = z.strictObject({
  /** Empty: on the worker's disk; `Memory`: in its memory. Default empty. */
  medium: z.string().optional(),
  /** Most that may lie in it; a pod that puts more there is ended (Evicted). */
  sizeLimit: ResourceQuantity.optional(),
});

/** A kind of volume that is not there. */
const Refused = z.unknown().optional();

/** A volume. With no source it is an `emptyDir`, as in Kubernetes. */
export const Volume = z
  .strictObject({
    /** Name, a DNS label, unique in the pod. */
    name: z.string(),
    /** A directory for the life of the pod. */
    emptyDir: EmptyDirVolumeSource.optional(),
    /** The keys of a ConfigMap as files. */
    configMap: ConfigMapVolumeSource.optional(),
    /** The keys of a Secret as files. */
    secret: SecretVolumeSource.optional(),
    /** Files of several sources. */
    projected: ProjectedVolumeSource.optional(),
    /** Fields of the pod as files. */
    downwardAPI: DownwardAPIVolumeSource.optional(),
    /** A file or directory of the worker's machine. */
    hostPath: HostPathVolumeSource.optional(),
    /** Refused. */
    persistentVolumeClaim: Refused,
    /** Refused. */
    ephemeral: Refused,
    /** Refused. */
    csi: Refused,
    /** Refused. */
    image: Refused,
    /** Refused. */
    nfs: Refused,
    /** Refused. */
    iscsi: Refused,
    /** Refused. */
    fc: Refused,
  })
  .transform((volume) => {
    const { name: _, ...sources } = volume;
    const hasSource = Object.values(sources).some((source) => source !== undefined);
    return hasSource ? volume : { ...volume, emptyDir: {} };
  });
/** A volume. */
export type Volume = z.output<typeof Volume>;

/** Where a container finds a volume. */
export const VolumeMount = z.strictObject({
  /** Name of a volume of the pod. */
  name: z.string(),
  /** Where it is: an absolute path. */
  mountPath: z.string(),
  /** The container may not write there. Default false. */
  readOnly: z.boolean().optional(),
  /** A directory or file in the volume to mount instead of all of it; relative. Default all of it. */
  subPath: z.string().optional(),
  /** As `subPath`, with `$(VAR)` expanded from the container's environment. */
  subPathExpr: z.string().optional(),
  /** Refused unless None. */
  mountPropagation: z.string().optional(),
  /** Refused unless Disabled. */
  recursiveReadOnly: z.string().optional(),
});
/** Where a container finds a volume. */
export type VolumeMount = z.output<typeof VolumeMount>;
