import { ARGUMENT_LIST_ANNOTATION, InvalidSpecError, type Job } from '@drover/shared';

/**
 * A list of arguments for a Job's indexes: entry i has the `args` of the container of index i, as
 * the program gets them.
 */
export type ArgumentListInput = readonly (readonly string[])[];

/**
 * The Job of an argument list: its template says that there is one.
 *
 * @throws InvalidSpecError when the list does not fit the Job, with all that is wrong.
 */
export function withArgumentList(job: Job, list: ArgumentListInput): Job {
  const { completions, completionMode, template } = job.spec;
  const issues: { path: string; kind: 'Invalid'; value: unknown; detail: string }[] = [];
  const refuse = (path: string, value: unknown, detail: string): void => {
    issues.push({ path, kind: 'Invalid', value, detail });
  };
  if (completionMode !== 'Indexed') {
    refuse('spec.completionMode', completionMode, 'an argument list is for Indexed Jobs');
  }
  if (completions !== list.length) {
    const detail = `the argument list has ${list.length} entries, one is needed for each index`;
    refuse('spec.completions', completions ?? null, detail);
  }
  const runtime = template.spec.runtimeClassName ?? 'process';
  if (runtime !== 'process') {
    refuse('spec.template.spec.runtimeClassName', runtime, 'an argument list is for programs');
  }
  for (const [index, words] of list.entries()) {
    const withNul = words.find((word) => word.includes('\0'));
    if (withNul === undefined) continue;
    refuse(`argumentList[${index}]`, withNul, 'an argument can not contain a NUL byte');
    // One such argument tells what is wrong; the others are of the same making.
    break;
  }
  if (issues.length > 0) {
    throw new InvalidSpecError('Job.batch', job.metadata.name, issues);
  }
  const annotations = template.metadata.annotations ?? {};
  const metadata = {
    ...template.metadata,
    annotations: { [ARGUMENT_LIST_ANNOTATION]: '{}', ...annotations },
  };
  return { ...job, spec: { ...job.spec, template: { ...template, metadata } } };
}
