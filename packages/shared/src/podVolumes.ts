/** Volumes of a pod, and where its containers mount them. */

import * as z from 'zod';

import { ResourceQuantity } from './resourceQuantity.ts';

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
    /** Refused. */
    configMap: Refused,
    /** Refused. */
    secret: Refused,
    /** Refused. */
    projected: Refused,
    /** Refused. */
    downwardAPI: Refused,
    /** Refused. */
    hostPath: Refused,
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
  /** A directory in the volume to mount instead of all of it; relative. Default all of it. */
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
