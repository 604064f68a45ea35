import { applyMergePatch } from '@drover/sdk/internals';

import { isJsonObject, type ApiObject, type JsonObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import { readValue, type RawBody } from '../http/bodies.ts';
import { badRequest } from '../http/status.ts';
import { applyJsonPatch, readJsonPatch } from './jsonPatch.ts';
import { listRulesOf } from './listRules.ts';
import { applyStrategicMerge } from './strategicMerge.ts';

/** Media type of a configuration that is applied. */
export const APPLY_TYPE = 'application/apply-patch+yaml';

/** Media types of patches that say what to change. */
export const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
] as const;

/** One of {@link PATCH_TYPES}. */
export type PatchType = (typeof PATCH_TYPES)[number];

/** Reads a patch; the result applies it, and does not change what it is given. */
export function makePatch(
  type: PatchType,
  body: RawBody,
  resource: Resource,
): (stored: ApiObject) => unknown {
  const value = readValue(body, type);
  if (type === 'application/json-patch+json') {
    const operations = readJsonPatch(value);
    return (stored) => applyJsonPatch(stored, operations);
  }
  const patch = checkObject(value);
  if (type === 'application/merge-patch+json') return (stored) => applyMergePatch(stored, patch);
  const rules = listRulesOf(resource);
  return (stored) => applyStrategicMerge(stored, patch, rules);
}

function checkObject(value: unknown): JsonObject {
  if (isJsonObject(value)) return value;
  throw badRequest('the patch is no object');
}
