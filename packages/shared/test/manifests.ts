import { InvalidSpecError, parseJob, type Job, type ParseJobOptions } from '../src/index.ts';

/** Changes to a part of a manifest: whatever JSON the case is about, right or wrong. */
export type Changes = Readonly<Record<string, unknown>>;

/** The parts of a manifest that a case may change. */
export interface ManifestChanges {
  readonly top?: Changes;
  readonly metadata?: Changes;
  readonly spec?: Changes;
  readonly template?: Changes;
  readonly pod?: Changes;
  readonly container?: Changes;
}

/** A valid Job of the process runtime; each case states only what it is about. */
export function manifest(changes: ManifestChanges = {}): Record<string, unknown> {
  const container = { name: 'main', command: ['true'], ...changes.container };
  const pod = { restartPolicy: 'Never', containers: [container], ...changes.pod };
  const spec = { template: { spec: pod, ...changes.template }, ...changes.spec };
  return { metadata: { name: 'pi', ...changes.metadata }, spec, ...changes.top };
}

/** A valid Job of the handler runtime. */
export function handlerManifest(changes: ManifestChanges = {}): Record<string, unknown> {
  const container = { command: undefined, image: 'resize', ...changes.container };
  return manifest({
    ...changes,
    container,
    pod: { runtimeClassName: 'handler', ...changes.pod },
  });
}

/** The Job of a manifest that must be valid. */
export function jobOf(changes: ManifestChanges = {}): Job {
  return parseJob(manifest(changes)).job;
}

/** Path, kind and detail of every problem; `[]` when there is none. */
export function problemsOf(input: unknown, options?: ParseJobOptions): string[] {
  return issuesIn(() => parseJob(input, options));
}

/** Path, kind and detail of every issue that `act` throws. */
export function issuesIn(act: () => unknown): string[] {
  try {
    act();
    return [];
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error;
    return error.issues.map(({ path, kind, detail }) => `${path} ${kind} ${detail}`.trimEnd());
  }
}

/**
 * A copy of an object with values put at paths, whatever they are: `{'spec.containers.0.args': []}`.
 * An object on the way is made; undefined takes a value away.
 */
export function withValues<T extends object>(object: T, values: Changes): T {
  const copy = structuredClone(object);
  for (const [path, value] of Object.entries(values)) {
    const parts = path.split('.');
    const last = parts.pop() ?? '';
    let parent = copy as Record<string, unknown>;
    for (const part of parts) {
      parent[part] ??= {};
      parent = parent[part] as Record<string, unknown>;
    }
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return copy;
}
