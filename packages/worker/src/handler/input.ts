import type { HandlerDefinition, SchemaIssue, SchemaResult } from './defineHandler.ts';

/** Annotation of the pod template with a handler's input, JSON. */
export const INPUT_ANNOTATION = 'drover.dev/input';

/** The input of a Job's pods, or why there is none. */
export type HandlerInput =
  | { readonly type: 'valid'; readonly value: unknown }
  | { readonly type: 'invalid'; readonly message: string };

/**
 * Reads and checks the input of a Job's pods; once for a plan, since it is the same for all of them.
 * A promise only when the schema checks asynchronously.
 *
 * @param text - The annotation of the pod template; undefined without one.
 */
export function readInput(
  handler: HandlerDefinition,
  text: string | undefined,
): HandlerInput | Promise<HandlerInput> {
  let value: unknown;
  try {
    value = text === undefined ? undefined : JSON.parse(text);
  } catch (error) {
    return invalid(handler, `it is not JSON: ${(error as Error).message}`);
  }
  if (handler.schema === null) return { type: 'valid', value: deepFreeze(value) };
  try {
    const result = handler.schema['~standard'].validate(value);
    if (result instanceof Promise) {
      return result.then(
        (settled) => judge(handler, text, settled),
        (error: unknown) => invalid(handler, String(error)),
      );
    }
    return judge(handler, text, result);
  } catch (error) {
    return invalid(handler, String(error));
  }
}

function judge(
  handler: HandlerDefinition,
  text: string | undefined,
  result: SchemaResult<unknown>,
): HandlerInput {
  if (result.issues === undefined) return { type: 'valid', value: deepFreeze(result.value) };
  if (text === undefined) return invalid(handler, 'there is none');
  return invalid(handler, result.issues.map(describeIssue).join('; '));
}

function invalid(handler: HandlerDefinition, why: string): HandlerInput {
  return {
    type: 'invalid',
    message: `input of handler "${handler.name}" (annotation ${INPUT_ANNOTATION} of the pod template): ${why}`,
  };
}

/** What is wrong, and where. */
export function describeIssue({ message, path = [] }: SchemaIssue): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
  return keys.length === 0 ? message : `${keys.join('.')}: ${message}`;
}

/** All pods share it. Only plain data: what a schema made of it (a Date, a Map) is left as it is. */
function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
