/**
 * Whether two JSON values mean the same to Kubernetes: what is null, missing, an empty list or an
 * empty object is all "not set".
 */
export function isSemanticallyEqual(a: unknown, b: unknown): boolean {
  return isEqual(a, b, isEmpty);
}

/** Whether two JSON values are the same, key by key; a missing key is an undefined one. */
export function isDeepEqual(a: unknown, b: unknown): boolean {
  return isEqual(a, b, (value) => value === undefined);
}

function isEqual(a: unknown, b: unknown, isUnset: (value: unknown) => boolean): boolean {
  if (a === b || (isUnset(a) && isUnset(b))) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...keys].every((key) => isEqual(left[key], right[key], isUnset));
}

function isEmpty(value: unknown): boolean {
  if (isNothing(value)) return true;
  return typeof value === 'object' && Object.values(value as object).every(isNothing);
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null;
}
