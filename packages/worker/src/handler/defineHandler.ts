import type { HandlerContext } from './context.ts';

/**
 * A schema as zod 4, valibot and arktype have them.
 *
 * @see https://standardschema.dev
 */
export interface Schema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a schema says about a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type that a schema lets through. */
export type SchemaOutput<S extends Schema> = NonNullable<S['~standard']['types']>['output'];

/** A function that runs the pods of `handler` Jobs. Made by {@link defineHandler}. */
export interface HandlerDefinition {
  /** What a Job's `image` names. */
  readonly name: string;
  /** Checks the pod's input; null = any. */
  readonly schema: Schema | null;
  /** Runs one pod. Its value is kept as the pod's result. */
  run(context: HandlerContext<never>): unknown;
}

/**
 * Defines a handler: an async function that Jobs of the runtime `handler` name in their container's `image`.
 *
 * The pod succeeds when the function returns and fails when it throws; the value is kept as the
 * pod's result (JSON, at most 64 KiB). A pod may run more than once, on different workers.
 *
 * With a schema, `input` is checked and typed. It is the JSON in the pod template's annotation
 * `drover.dev/input`, so it is the same for all pods of a Job and must not be changed. A Job whose input does not fit
 * fails its pods with the reason.
 *
 * @example
 * const resize = defineHandler('resize', z.object({ width: z.int() }), async ({ input, index, signal }) => {
 *   await resizePicture(index, input.width, { signal });
 * });
 */
export function defineHandler(
  name: string,
  run: (context: HandlerContext) => unknown,
): HandlerDefinition;
export function defineHandler<S extends Schema>(
  name: string,
  schema: S,
  run: (context: HandlerContext<SchemaOutput<S>>) => unknown,
): HandlerDefinition;
export function defineHandler(
  name: string,
  ...rest: [(context: never) => unknown] | [Schema, (context: never) => unknown]
): HandlerDefinition {
  const [schema, run] = rest.length === 1 ? [null, rest[0]] : rest;
  // As in an image reference without tag, since that is where a Job names it.
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(name)) {
    throw new TypeError(
      `"${name}" can not be the name of a handler: letters, digits, '-', '_', '.' and '/', beginning with a letter or digit`,
    );
  }
  if (typeof run !== 'function') throw new TypeError(`handler "${name}" needs a function`);
  if (schema !== null && typeof schema['~standard']?.validate !== 'function') {
    throw new TypeError(
      `handler "${name}": the second argument is neither a function nor a schema (such as zod's)`,
    );
  }
  return Object.freeze({ name, schema, run });
}
