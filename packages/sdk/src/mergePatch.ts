/** A JSON merge patch (RFC 7386): fields are set, `null` removes one, lists are replaced whole. */
export type MergePatch = Readonly<Record<string, unknown>>;

/** Applies a JSON merge patch; neither argument is changed. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isPlainObject(patch)) return patch;
  const result: Record<string, unknown> = isPlainObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    // defineProperty: a key such as __proto__ must become a field, not a prototype.
    else {
      Object.defineProperty(result, key, {
        value: applyMergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
  }
  return result;
}

/**
 * The patch of a three-way merge, as `kubectl apply` makes it: what the manifest says is set, what
 * it said the last time and does not say now is removed, everything else is left alone.
 */
export function threeWayPatch(lastApplied: unknown, manifest: MergePatch): MergePatch {
  return diffRemoved(lastApplied, manifest);
}

function diffRemoved(before: unknown, now: Readonly<Record<string, unknown>>): MergePatch {
  const patch: Record<string, unknown> = { ...now };
  const old = isPlainObject(before) ? before : {};
  for (const [key, value] of Object.entries(now)) {
    if (isPlainObject(value)) patch[key] = diffRemoved(old[key], value);
  }
  for (const key of Object.keys(old)) {
    if (!Object.hasOwn(now, key)) patch[key] = null;
  }
  return patch;
}

/** An object literal, in contrast to a list, null and everything else. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
