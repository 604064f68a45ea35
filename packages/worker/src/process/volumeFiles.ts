import type { DownwardAPIVolumeFile } from '@drover/shared';

import { ConfigProblem, type ConfigContent, type ConfigSet } from '../configs/configContent.ts';
import type { FileSource, PlannedFiles } from '../volumePlan.ts';

/** A file of a volume. */
export interface VolumeFile {
  /** Within the volume. */
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
}

/**
 * The files of a volume.
 *
 * @param fieldText - What a field or resource of the pod is.
 * @throws ConfigProblem when a ConfigMap, a Secret or a key is missing.
 */
export function filesOf(
  volume: PlannedFiles,
  configs: ConfigSet,
  fieldText: (item: DownwardAPIVolumeFile) => string,
): VolumeFile[] {
  try {
    return volume.sources.flatMap((source) =>
      source.type === 'keys'
        ? keyFiles(source, volume.mode, configs)
        : source.items.map((item) => ({
            path: item.path,
            bytes: Buffer.from(fieldText(item)),
            mode: item.mode ?? volume.mode,
          })),
    );
  } catch (error) {
    if (!(error instanceof ConfigProblem)) throw error;
    throw setUpProblem(volume.name, error.message);
  }
}

/** What keeps a volume from being made, as kubelet says it. */
export function setUpProblem(
  volume: string,
  message: string,
  options: { readonly isOfHost?: boolean } = {},
): ConfigProblem {
  return new ConfigProblem(`MountVolume.SetUp failed for volume "${volume}" : ${message}`, {
    reason: 'ContainerCreating',
    ...options,
  });
}

function keyFiles(
  { ref, items, optional }: Extract<FileSource, { type: 'keys' }>,
  mode: number,
  configs: ConfigSet,
): VolumeFile[] {
  const content: ConfigContent | null = configs.get(ref, optional);
  if (content === null) return [];
  if (items === null) return [...content.files].map(([path, bytes]) => ({ path, bytes, mode }));
  return items.flatMap((item) => {
    const bytes = content.files.get(item.key);
    if (bytes !== undefined) return [{ path: item.path, bytes, mode: item.mode ?? mode }];
    if (optional) return [];
    const kind = ref.kind === 'Secret' ? 'secret' : 'config';
    throw new ConfigProblem(`references non-existent ${kind} key: ${item.key}`);
  });
}
