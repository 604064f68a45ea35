/** How many pods that ended a Job keeps. */

import { invalid, type ValidationIssue } from './issues.ts';

/**
 * Annotation of a Job: how many of its pods that ended are kept, a whole number. Failed ones are
 * kept before others, newer before older ones.
 */
export const KEPT_PODS_ANNOTATION = 'drover.dev/kept-pods';
/** Annotation that Drover shows on a Job: how many of its pods were removed to make room. */
export const DROPPED_PODS_ANNOTATION = 'drover.dev/dropped-pods';

/** How many pods a Job wants kept; null = it does not say. */
export function keptPodsOf(
  annotations: Readonly<Record<string, string>> | undefined,
): number | null {
  const text = annotations?.[KEPT_PODS_ANNOTATION];
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** What is wrong with the annotation. */
export function keptPodsIssues(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): ValidationIssue[] {
  const text = annotations?.[KEPT_PODS_ANNOTATION];
  if (text === undefined || keptPodsOf(annotations) !== null) return [];
  return [invalid(`${path}[${KEPT_PODS_ANNOTATION}]`, text, 'must be a whole number below 10^9')];
}

/** Annotations without what Drover shows in them. */
export function withoutShown<
  T extends { readonly annotations?: Record<string, string> | undefined },
>(metadata: T): T {
  const { annotations } = metadata;
  if (annotations === undefined || !(DROPPED_PODS_ANNOTATION in annotations)) return metadata;
  const { [DROPPED_PODS_ANNOTATION]: _shown, ...own } = annotations;
  return { ...metadata, annotations: own };
}
