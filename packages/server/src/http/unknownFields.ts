import { InvalidSpecError, type ValidationIssue } from '@drover/shared';

import { isJsonObject } from '../api/object.ts';
import type { FieldValidation } from './query.ts';
import { badRequest } from './status.ts';

/** What a change that may bring unknown fields is made with. */
export interface UnknownFieldsOptions {
  readonly validation: FieldValidation;
  /** For messages: `Job in version "v1"`. */
  readonly what: string;
  readonly kind: string;
  readonly onWarning: (warning: string) => void;
}

/**
 * Runs a change whose object may have fields that nobody knows: told as an error, as warnings, or not
 * at all, as the client wants it. Only what it was told of is left out.
 *
 * @param run - Makes the change of an object after it went through `prune`.
 */
export async function withUnknownFields<T>(
  options: UnknownFieldsOptions,
  run: (prune: (object: unknown) => unknown) => Promise<T>,
): Promise<T> {
  try {
    return await run((object) => object);
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error;
    const unknown = error.issues.filter(({ kind }) => kind === 'UnknownField');
    if (unknown.length === 0) throw error;
    const texts = unknown.map(textOf);
    if (options.validation === 'Strict') {
      const { what, kind } = options;
      throw badRequest(
        `${what} cannot be handled as a ${kind}: strict decoding error: ${texts.join(', ')}`,
      );
    }
    const result = await run((object) => {
      const pruned = structuredClone(object);
      for (const { path } of unknown) removeField(pruned, path);
      return pruned;
    });
    // What is wrong beside them comes first: there is nothing to warn of then.
    if (options.validation === 'Warn') for (const text of texts) options.onWarning(text);
    return result;
  }
}

function textOf({ path, detail }: ValidationIssue): string {
  return `unknown field "${path}"${detail === '' ? '' : ` (${detail})`}`;
}

/** Removes a field by its path as issues write it: `spec.containers[0].name`. */
function removeField(object: unknown, path: string): void {
  const segments = path
    .split(/\.|\[(\d+)\]\.?/)
    .filter((part) => part !== undefined && part !== '');
  const last = segments.pop();
  let at = object;
  for (const segment of segments) {
    if (Array.isArray(at)) at = at[Number(segment)];
    else if (isJsonObject(at) && Object.hasOwn(at, segment)) at = at[segment];
    else return;
  }
  if (isJsonObject(at) && last !== undefined) delete at[last];
}
