import {
  InvalidSpecError,
  ITEM_PER_POD_ANNOTATION,
  type ItemPerPod,
  WORK_QUEUE_ANNOTATION,
} from '@drover/shared';

import { isPlainObject } from './mergePatch.ts';

/** A work queue of whose items each pod takes one. */
export interface ItemPerPodInput {
  /** Name of the work queue, in the Job's namespace. */
  readonly workQueue: string;
  /** How a pod gets its item. Default: `stdin` for programs, `context` for handlers. */
  readonly as?: ItemPerPod;
}

/**
 * The manifest of a Job whose pods take one item each: with the two annotations and, where it says nothing of completions,
 * as many of them as the work queue has items that are not settled.
 *
 * @param countItems - Answers how many that are.
 * @throws InvalidSpecError when it says something else already.
 */
export async function withItemPerPod(
  manifest: Readonly<Record<string, unknown>>,
  { workQueue, as }: ItemPerPodInput,
  countItems: () => Promise<number>,
): Promise<Readonly<Record<string, unknown>>> {
  const metadata = objectOf(manifest['metadata']);
  const spec = objectOf(manifest['spec']);
  const wanted = {
    [WORK_QUEUE_ANNOTATION]: workQueue,
    [ITEM_PER_POD_ANNOTATION]: as ?? defaultFor(spec),
  };
  const annotations = objectOf(metadata['annotations']);
  const issues = Object.entries(wanted)
    .filter(([key, value]) => (annotations[key] ?? value) !== value)
    .map(([key, value]) => ({
      path: `metadata.annotations[${key}]`,
      kind: 'Invalid' as const,
      value: annotations[key],
      detail: `must be "${value}", as the option itemPerPod says, or left out`,
    }));
  if (issues.length > 0) {
    const { name } = metadata;
    throw new InvalidSpecError('Job.batch', typeof name === 'string' ? name : '<unnamed>', issues);
  }
  const { completions = await countItems() } = spec;
  return {
    ...manifest,
    metadata: { ...metadata, annotations: { ...annotations, ...wanted } },
    spec: { ...spec, completions },
  };
}

function defaultFor(spec: Readonly<Record<string, unknown>>): ItemPerPod {
  const pod = objectOf(objectOf(spec['template'])['spec']);
  return pod['runtimeClassName'] === 'handler' ? 'context' : 'stdin';
}

/** What is none is said by the parser. */
function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return isPlainObject(value) ? value : {};
}
