import type { HandlerContext } from './context.ts';
import type { HandlerModule } from './handlerModule.ts';

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

/** Where the pods of a handler run: on the worker's own event loop, or each in a thread of its own. */
export type Isolation = 'none' | 'thread';

/** Options of {@link defineHandler}. */
export interface HandlerOptions {
  /**
   * `thread`: each pod has a thread of the worker for itself while it runs. For handlers that compute: they
   * hold up nobody, can be ended by force, and an uncaught error or full memory fails only their
   * pod. Default `none`: on the worker's event loop, together with its other pods.
   */
  readonly isolation?: Isolation;
  /**
   * URL of the module that exports the handler, for `isolation: 'thread'`: `import.meta.url`. Threads load the
   * handler from there. Not needed in a file given to `drover worker --handlers` or `drover dev --handlers`.
   */
  readonly module?: string;
}

/** A function that runs the pods of `handler` Jobs. Made by {@link defineHandler}. */
export interface HandlerDefinition {
  /** What a Job's `image` names. */
  readonly name: string;
  /** Checks the pod's input; null = any. */
  readonly schema: Schema | null;
  /** Where its pods run. */
  readonly isolation: Isolation;
  /** Where a thread loads it from; null = not known. */
  readonly module: HandlerModule | null;
  /** Runs one pod. Its value is kept as the pod's result. */
  run(context: HandlerContext<never, never>): unknown;
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
 * `Data` is what the item of a pod holds, where pods take one each: `defineHandler<Page>('fetch', ({ item }) => ...)`.
 *
 * A handler that computes for long belongs in a thread, see {@link HandlerOptions.isolation}: on the event
 * loop it holds up the worker's other pods, and its heartbeat.
 *
 * @throws TypeError when the name or an option is wrong.
 *
 * @example
 * const resize = defineHandler('resize', z.object({ width: z.int() }), async ({ input, index, signal }) => {
 *   await resizePicture(index, input.width, { signal });
 * });
 *
 * @example
 * export const primes = defineHandler('primes', ({ index }) => countPrimes(index), { isolation: 'thread' });
 */
export function defineHandler<Data = unknown>(
  name: string,
  run: (context: HandlerContext<unknown, Data>) => unknown,
  options?: HandlerOptions,
): HandlerDefinition;
export function defineHandler<S extends Schema, Data = unknown>(
  name: string,
  schema: S,
  run: (context: HandlerContext<SchemaOutput<S>, Data>) => unknown,
  options?: HandlerOptions,
): HandlerDefinition;
export function defineHandler(name: string, ...rest: readonly unknown[]): HandlerDefinition {
  // As in an image reference without tag, since that is where a Job names it.
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(name)) {
    throw new TypeError(
      `"${name}" can not be the name of a handler: letters, digits, '-', '_', '.' and '/', beginning with a letter or digit`,
    );
  }
  const { schema, run, options } = sortArguments(rest);
  if (typeof run !== 'function') throw new TypeError(`handler "${name}" needs a function`);
  if (schema !== null && typeof schema['~standard']?.validate !== 'function') {
    throw new TypeError(
      `handler "${name}": the second argument is neither a function nor a schema (such as zod's)`,
    );
  }
  const { isolation = 'none', module } = checkOptions(name, options as HandlerOptions | undefined);
  const source = module === undefined ? null : Object.freeze({ url: module, packagesFrom: null });
  return Object.freeze({
    name,
    schema,
    isolation,
    module: source,
    run: run as HandlerDefinition['run'],
  });
}

/** A schema may be a function, too (arktype's are), so it is known by the function after it. */
export function sortArguments(rest: readonly unknown[]): {
  readonly schema: Schema | null;
  readonly run: unknown;
  readonly options: unknown;
} {
  const [first, second, third] = rest;
  const isPlain = rest.length < 2 || (typeof first === 'function' && typeof second !== 'function');
  return isPlain
    ? { schema: null, run: first, options: second }
    : { schema: first as Schema, run: second, options: third };
}

function checkOptions(name: string, options: HandlerOptions = {}): HandlerOptions {
  const problems: string[] = [];
  const { isolation, module } = options;
  if (isolation !== undefined && isolation !== 'none' && isolation !== 'thread') {
    problems.push(`isolation "${String(isolation)}": "none" or "thread" is expected`);
  }
  // A path would be taken for a package's name.
  if (module !== undefined && !URL.canParse(module)) {
    problems.push(`module "${module}": the URL of a module is expected: import.meta.url`);
  }
  if (problems.length > 0) throw new TypeError(`handler "${name}": ${problems.join('; ')}`);
  return options;
}
