import { base64Size, type ConfigMap, type ObjectMeta } from '@drover/shared';

import type { SecretFacts } from '../client.ts';
import { annotationLines, formatEntries, mapLines, type Entry } from './layout.ts';

/** Describes a ConfigMap as `kubectl describe` does. Pure. */
export function describeConfigMap({ metadata, data = {}, binaryData = {} }: ConfigMap): string[] {
  const texts = sorted(data).flatMap(([key, text]) => [`${key}:`, '----', ...text.split('\n'), '']);
  const bytes = sorted(binaryData).map(([key, text]) => `${key}: ${sizeText(base64Size(text))}`);
  return [
    ...formatEntries(metaEntries(metadata)),
    ...section('Data', texts),
    ...section('BinaryData', bytes),
  ];
}

/** Describes a Secret: of its data nothing but their sizes. Pure. */
export function describeSecret({ metadata, type, sizes, keyId }: SecretFacts): string[] {
  const lines = formatEntries(sorted(sizes).map(([key, bytes]): Entry => [key, sizeText(bytes)]));
  return [
    ...formatEntries([
      ...metaEntries(metadata),
      ['Type', type],
      ...(keyId === null ? [] : [['Encrypted With', `key ${keyId}`] as const]),
    ]),
    ...section('Data', lines),
  ];
}

function metaEntries(metadata: ObjectMeta): Entry[] {
  return [
    ['Name', metadata.name],
    ['Namespace', metadata.namespace],
    ['Labels', mapLines(metadata.labels)],
    ['Annotations', annotationLines(metadata.annotations)],
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return ['', title, '='.repeat(title.length), ...lines];
}

function sorted<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function sizeText(bytes: number): string {
  return bytes === 1 ? '1 byte' : `${bytes} bytes`;
}
