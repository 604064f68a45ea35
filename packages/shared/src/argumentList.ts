import { z } from 'zod';

/**
 * Annotation of an Indexed Job's pod template: its pods get the `args` of their container from a
 * list that is stored with the Job, one entry per index. The value is JSON, see
 * {@link ArgumentListSettings}. `jobs.create(manifest, { argumentList })` stores such a list.
 */
export const ARGUMENT_LIST_ANNOTATION = 'drover.dev/argument-list';

/** What ends of pods are counted to stop a Job with an argument list. */
export const HALT_EVENTS = ['fail', 'success', 'done'] as const;
/** One of {@link HALT_EVENTS}. */
export type HaltEvent = (typeof HALT_EVENTS)[number];

/**
 * How the entries of an argument list are run. An index is done when its program was run to an end:
 * the exit code is kept in the pod's record, and does not decide whether the index is tried again.
 */
export const ArgumentListSettings = z.strictObject({
  /** How often a program that fails is run, within its pod; 1 = once. An integer >= 1. */
  tries: z.int().min(1).default(1),
  /** A run that takes longer is stopped and has failed. ms, an integer >= 1; null = no limit. */
  timeoutMs: z.int().min(1).nullable().default(null),
  /** After so many ends of the kind no further program is started; null = never. */
  halt: z
    .strictObject({ on: z.enum(HALT_EVENTS), count: z.int().min(1) })
    .nullable()
    .default(null),
});
/** How the entries of an argument list are run. */
export type ArgumentListSettings = z.infer<typeof ArgumentListSettings>;

/** The settings in an annotation, or what is wrong with them. */
export type ArgumentListReading =
  | { readonly type: 'valid'; readonly settings: ArgumentListSettings }
  | { readonly type: 'invalid'; readonly message: string };

/** Reads the value of {@link ARGUMENT_LIST_ANNOTATION}. */
export function readArgumentList(text: string): ArgumentListReading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return invalid(`it is not JSON: ${(error as Error).message}`);
  }
  const result = ArgumentListSettings.safeParse(value);
  if (result.success) return { type: 'valid', settings: result.data };
  const problems = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`,
  );
  return invalid(problems.join('; '));
}

function invalid(why: string): ArgumentListReading {
  return { type: 'invalid', message: `annotation ${ARGUMENT_LIST_ANNOTATION}: ${why}` };
}
