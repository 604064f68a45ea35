import type { PriorityClass } from '@drover/shared';

import { annotationLines, formatEntries } from './layout.ts';

/** Describes a PriorityClass as `kubectl describe` does. Pure. */
export function describePriorityClass(priorityClass: PriorityClass): string[] {
  const { metadata, value, globalDefault = false, preemptionPolicy, description } = priorityClass;
  return formatEntries([
    ['Name', metadata.name],
    ['Value', String(value)],
    ['GlobalDefault', String(globalDefault)],
    ['PreemptionPolicy', preemptionPolicy],
    ['Description', description ?? ''],
    ['Annotations', annotationLines(metadata.annotations)],
  ]);
}
