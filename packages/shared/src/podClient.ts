/** How a pod becomes a client of the Drover that runs it. */

import type { OwnerReference } from './meta.ts';
import { notSupported, type ValidationIssue } from './issues.ts';

/**
 * Annotation of a pod template, or of a pod without a Job: with `true` its programs find what
 * `new Drover()` needs in their environment, and its handler in its context. What they create
 * belongs to the pod's Job, or to the pod if it has none.
 */
export const CLIENT_ANNOTATION = 'drover.dev/client';

/** Environment variables of such a program. */
export const CLIENT_ENV = {
  /** Path of a file with a {@link ClientConnection} as JSON, which nobody else may read. */
  file: 'DROVER_CLIENT_FILE',
  /** Namespace of the pod. */
  namespace: 'DROVER_NAMESPACE',
  /** An OwnerReference as JSON: to whom belongs what the pod creates. */
  owner: 'DROVER_OWNER',
  /** metadata.name of the pod. */
  podName: 'DROVER_POD_NAME',
  /** metadata.uid of the pod. */
  podUid: 'DROVER_POD_UID',
} as const;

/** How to reach the Redis of an installation. */
export interface ClientConnection {
  /** A URL, or options of ioredis. */
  readonly connection: string | Readonly<Record<string, unknown>>;
  /** Prefix of all keys. */
  readonly prefix: string;
}

/** What `new Drover(settings)` takes to be a pod's client. */
export interface ClientSettings extends ClientConnection {
  /** Namespace of the pod. */
  readonly namespace: string;
  /** To whom belongs what the client creates. */
  readonly owner: OwnerReference;
}

/** What is wrong with the annotation. */
export function clientAnnotationIssues(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): ValidationIssue[] {
  const value = annotations?.[CLIENT_ANNOTATION];
  if (value === undefined || value === 'true' || value === 'false') return [];
  return [notSupported(`${path}[${CLIENT_ANNOTATION}]`, value, ['true', 'false'])];
}
