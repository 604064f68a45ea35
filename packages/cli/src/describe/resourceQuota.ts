import type { ResourceQuota } from '@drover/shared';

import { formatTable } from '../text/table.ts';
import { formatEntries } from './layout.ts';

/** Describes a ResourceQuota as `kubectl describe` does. Pure. */
export function describeResourceQuota({ metadata, status }: ResourceQuota): string[] {
  const { hard = {}, used = {} } = status ?? {};
  const rows = Object.keys(hard)
    .toSorted()
    .map((name) => [name, used[name] ?? '0', hard[name] ?? '0']);
  return [
    ...formatEntries([
      ['Name', metadata.name],
      ['Namespace', metadata.namespace],
    ]),
    '',
    ...formatTable(['resource', 'used', 'hard'], rows),
  ];
}
