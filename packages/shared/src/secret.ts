import * as z from 'zod';

import { base64Size, decodeBase64, encodeBase64, isBase64 } from './base64.ts';
import { Base64Text, MAX_CONFIG_BYTES } from './configMap.ts';
import { invalid, invalidEach, required, tooLong, type ValidationIssue } from './issues.ts';
import { ObjectMeta } from './meta.ts';
import { configKeyProblems } from './names.ts';
import { immutableIssues, type ObjectKind } from './objectKind.ts';

/** What a Secret holds when nothing is said of it. */
const OPAQUE = 'Opaque';

/** Passwords, keys and the like for pods. Encrypted where they are kept. */
export const Secret = z
  .strictObject({
    /** `v1`. */
    apiVersion: z.literal('v1').default('v1'),
    /** `Secret`. */
    kind: z.literal('Secret').default('Secret'),
    /** Name, labels and the like. */
    metadata: ObjectMeta.prefault({}),
    /** Bytes by their keys, base64: letters, digits, `-`, `_` and `.`. */
    data: z.record(z.string(), Base64Text).optional(),
    /** Texts by their keys; they are put into `data`, in place of what is there of the same key. */
    stringData: z.record(z.string(), z.string()).optional(),
    /** What is in it: `kubernetes.io/tls` and the like have rules of their own. Default Opaque. */
    type: z.string().default(OPAQUE),
    /** Once true the content can not change any more. Default false. */
    immutable: z.boolean().optional(),
  })
  .transform(({ stringData, ...secret }) => {
    return stringData === undefined ? secret : { ...secret, data: fold(secret.data, stringData) };
  });
/** Passwords, keys and the like for pods. */
export type Secret = z.output<typeof Secret>;

/** Secrets as a kind. */
export const SECRET_KIND: ObjectKind<Secret> = {
  kind: 'Secret',
  apiVersion: 'v1',
  resource: 'secrets',
  schema: Secret,
  issues: secretIssues,
  changeIssues: (stored, object) => [
    ...(object.type === stored.type ? [] : [invalid('type', object.type, 'field is immutable')]),
    ...immutableIssues(stored, object, ['data']),
  ],
  hidden: ['data', 'stringData'],
};

/** The manifest of a Secret with its `stringData` in `data`, as it is kept; one that is not valid as it is. */
export function foldStringData(
  manifest: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { stringData, ...others } = manifest;
  const [texts, data] = [Texts.safeParse(stringData), Texts.safeParse(others['data'] ?? {})];
  if (!texts.success || !data.success) return manifest;
  return { ...others, data: fold(data.data, texts.data) };
}

// The record passes over this key in silence, and validation is to find it.
const Texts = z
  .custom(
    (texts) => typeof texts !== 'object' || texts === null || !Object.hasOwn(texts, '__proto__'),
  )
  .pipe(z.record(z.string(), z.string()));

function fold(
  data: Readonly<Record<string, string>> = {},
  texts: Readonly<Record<string, string>>,
): Record<string, string> {
  const encoded = Object.entries(texts).map(([key, text]) => [key, encodeBase64(text)] as const);
  return { ...data, ...Object.fromEntries(encoded) };
}

function secretIssues({ data = {}, type, metadata }: Secret): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    issues.push(...invalidEach(`data[${key}]`, undefined, configKeyProblems(key)));
    if (isBase64(value)) bytes += base64Size(value);
    else
      issues.push(
        invalid(`data[${key}]`, undefined, 'must be base64; plain text belongs in stringData'),
      );
  }
  if (bytes > MAX_CONFIG_BYTES) issues.push(tooLong('data', MAX_CONFIG_BYTES));
  return [...issues, ...typeIssues(type, data, metadata)];
}

/** Keys that Secrets of a type must have. */
const KEYS_OF_TYPES: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};
const BASIC_AUTH = 'kubernetes.io/basic-auth';
const ACCOUNT_TOKEN = 'kubernetes.io/service-account-token';
const ACCOUNT_NAME = 'kubernetes.io/service-account.name';

function typeIssues(
  type: string,
  data: Readonly<Record<string, string>>,
  { annotations = {} }: ObjectMeta,
): ValidationIssue[] {
  const missing = (KEYS_OF_TYPES[type] ?? []).filter((key) => !Object.hasOwn(data, key));
  const issues = missing.map((key) => required(`data[${key}]`));
  if (type === BASIC_AUTH && data['username'] === undefined && data['password'] === undefined) {
    issues.push(required('data[username]'), required('data[password]'));
  }
  if (type === ACCOUNT_TOKEN && (annotations[ACCOUNT_NAME] ?? '') === '') {
    issues.push(required(`metadata.annotations[${ACCOUNT_NAME}]`));
  }
  if (type.startsWith('kubernetes.io/docker')) {
    for (const key of KEYS_OF_TYPES[type] ?? []) {
      const value = data[key];
      if (value !== undefined && isBase64(value) && !isJsonObject(decodeBase64(value))) {
        issues.push(invalid(`data[${key}]`, undefined, 'must be a JSON object'));
      }
    }
  }
  return issues;
}

function isJsonObject(text: string | null): boolean {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
