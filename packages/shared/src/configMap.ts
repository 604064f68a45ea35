import * as z from 'zod';

import { base64Size, isBase64 } from './base64.ts';
import { invalid, invalidEach, tooLong, type ValidationIssue } from './issues.ts';
import { ObjectMeta } from './meta.ts';
import { configKeyProblems } from './names.ts';
import { immutableIssues, type ObjectKind } from './objectKind.ts';
import { byteLength } from './utf8.ts';

/** Most bytes of the values of a ConfigMap or Secret together. */
export const MAX_CONFIG_BYTES = 1024 * 1024;

/** Base64; line breaks in it mean nothing. */
export const Base64Text = z.string().transform((text) => text.replaceAll(/[\r\n]/g, ''));

/** Settings for pods, in plain text. */
export const ConfigMap = z.strictObject({
  /** `v1`. */
  apiVersion: z.literal('v1').default('v1'),
  /** `ConfigMap`. */
  kind: z.literal('ConfigMap').default('ConfigMap'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** Texts by their keys: letters, digits, `-`, `_` and `.`. */
  data: z.record(z.string(), z.string()).optional(),
  /** Bytes by their keys, base64; no key may be in `data` too. For volumes only. */
  binaryData: z.record(z.string(), Base64Text).optional(),
  /** Once true the content can not change any more. Default false. */
  immutable: z.boolean().optional(),
});
/** Settings for pods, in plain text. */
export type ConfigMap = z.output<typeof ConfigMap>;

/** ConfigMaps as a kind. */
export const CONFIG_MAP_KIND: ObjectKind<ConfigMap> = {
  kind: 'ConfigMap',
  apiVersion: 'v1',
  resource: 'configmaps',
  schema: ConfigMap,
  issues: configMapIssues,
  changeIssues: (stored, object) => immutableIssues(stored, object, ['data', 'binaryData']),
  hidden: [],
};

function configMapIssues({ data = {}, binaryData = {} }: ConfigMap): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    issues.push(...invalidEach(`data[${key}]`, key, configKeyProblems(key)));
    if (Object.hasOwn(binaryData, key)) {
      issues.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    bytes += byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    issues.push(...invalidEach(`binaryData[${key}]`, key, configKeyProblems(key)));
    if (!isBase64(value)) issues.push(invalid(`binaryData[${key}]`, undefined, 'must be base64'));
    else bytes += base64Size(value);
  }
  if (bytes > MAX_CONFIG_BYTES) issues.push(tooLong('data', MAX_CONFIG_BYTES));
  return issues;
}
