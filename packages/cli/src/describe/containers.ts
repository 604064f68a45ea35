import {
  humanDuration,
  parseTime,
  type ContainerState,
  type ContainerStatus,
} from '@drover/shared';

import { formatEntries, mapLines, timeText, type Entry } from './layout.ts';

/** A key of a ConfigMap or Secret. */
interface KeyView {
  readonly name: string;
  readonly key: string;
  readonly optional?: boolean | undefined;
}

/** What is described of a container. */
interface ContainerView {
  readonly name: string;
  readonly image?: string | undefined;
  readonly command?: readonly string[] | undefined;
  readonly args?: readonly string[] | undefined;
  readonly workingDir?: string | undefined;
  readonly restartPolicy?: string | undefined;
  readonly resources?: {
    readonly limits?: Readonly<Record<string, string>> | undefined;
    readonly requests?: Readonly<Record<string, string>> | undefined;
  };
  readonly env?:
    | readonly {
        readonly name: string;
        readonly value?: string | undefined;
        readonly valueFrom?:
          | {
              readonly fieldRef?:
                | { readonly apiVersion: string; readonly fieldPath: string }
                | undefined;
              readonly resourceFieldRef?: { readonly resource: string } | undefined;
              readonly configMapKeyRef?: KeyView | undefined;
              readonly secretKeyRef?: KeyView | undefined;
            }
          | undefined;
      }[]
    | undefined;
  readonly envFrom?:
    | readonly {
        readonly prefix?: string | undefined;
        readonly configMapRef?: Omit<KeyView, 'key'> | undefined;
        readonly secretRef?: Omit<KeyView, 'key'> | undefined;
      }[]
    | undefined;
  readonly volumeMounts?:
    | readonly {
        readonly name: string;
        readonly mountPath: string;
        readonly readOnly?: boolean | undefined;
        readonly subPath?: string | undefined;
      }[]
    | undefined;
}

/** What is described of the spec of a pod. */
export interface PodSpecView {
  readonly containers: readonly ContainerView[];
  readonly initContainers?: readonly ContainerView[] | undefined;
  readonly volumes?: readonly { readonly name: string }[] | undefined;
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  readonly runtimeClassName?: string | undefined;
}

/** The statuses of a pod's containers. */
export interface ContainerStatuses {
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

/**
 * The entries about containers and volumes, of a template or of a pod.
 *
 * @param statuses - How a pod's containers are; null for a template.
 */
export function containerEntries(spec: PodSpecView, statuses: ContainerStatuses | null): Entry[] {
  const entries: Entry[] = [];
  const part = (
    containers: readonly ContainerView[],
    of: readonly ContainerStatus[] | undefined,
  ) => ({
    part: containers.flatMap((container) => {
      const status = of?.find(({ name }) => name === container.name);
      const lines = formatEntries(
        containerParts(container, statuses === null ? null : (status ?? 'none')),
      );
      return [`${container.name}:`, ...lines.map((line) => `  ${line}`)];
    }),
  });
  if (spec.initContainers !== undefined && spec.initContainers.length > 0) {
    entries.push(['Init Containers', part(spec.initContainers, statuses?.initContainerStatuses)]);
  }
  entries.push(['Containers', part(spec.containers, statuses?.containerStatuses)]);
  entries.push(['Volumes', volumesValue(spec.volumes ?? [])]);
  entries.push(['Runtime', spec.runtimeClassName ?? 'process']);
  entries.push(['Node-Selectors', mapLines(spec.nodeSelector)]);
  return entries;
}

function containerParts(
  container: ContainerView,
  status: ContainerStatus | 'none' | null,
): Entry[] {
  const { image = '', command = [], args = [], workingDir, restartPolicy, resources } = container;
  const entries: Entry[] = [];
  if (image !== '') entries.push(['Image', image]);
  if (restartPolicy !== undefined) entries.push(['Restart Policy', restartPolicy]);
  if (command.length > 0) entries.push(['Command', { part: command.flatMap(textLines) }]);
  if (args.length > 0) entries.push(['Args', { part: args.flatMap(textLines) }]);
  if (workingDir !== undefined) entries.push(['Working Dir', workingDir]);
  if (status === 'none')
    entries.push(['State', 'Waiting'], ['Ready', 'False'], ['Restart Count', '0']);
  else if (status !== null) entries.push(...statusEntries(status));
  for (const [label, amounts] of [
    ['Limits', resources?.limits],
    ['Requests', resources?.requests],
  ] as const) {
    if (amounts !== undefined) entries.push([label, { part: [...mapLines(amounts, ': ')] }]);
  }
  const { env = [], envFrom = [] } = container;
  if (envFrom.length > 0)
    entries.push(['Environment Variables from', { part: fromLines(envFrom) }]);
  entries.push(['Environment', environmentValue(env)]);
  const mounts = (container.volumeMounts ?? []).map(
    ({ name, mountPath, readOnly, subPath }) =>
      `${mountPath} from ${name} (${readOnly === true ? 'ro' : 'rw'}${subPath === undefined ? '' : `,path="${subPath}"`})`,
  );
  entries.push(['Mounts', mounts.length === 0 ? '<none>' : { part: mounts }]);
  return entries;
}

/** A script in an argument keeps its lines. */
function textLines(text: string): string[] {
  return text.split('\n');
}

function environmentValue(env: NonNullable<ContainerView['env']>): Entry[1] {
  if (env.length === 0) return '<none>';
  return {
    part: formatEntries(
      env.map(({ name, value = '', valueFrom }) => {
        const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom ?? {};
        if (fieldRef !== undefined) return [name, `(${fieldRef.apiVersion}:${fieldRef.fieldPath})`];
        if (resourceFieldRef !== undefined) return [name, `(${resourceFieldRef.resource})`];
        if (configMapKeyRef !== undefined) return [name, keyText(configMapKeyRef, 'of config map')];
        if (secretKeyRef !== undefined) return [name, keyText(secretKeyRef, 'in secret')];
        return [name, value.split('\n')];
      }),
    ),
  };
}

function keyText({ name, key, optional = false }: KeyView, what: string): string {
  return `<set to the key '${key}' ${what} '${name}'>  Optional: ${optional}`;
}

function fromLines(sources: NonNullable<ContainerView['envFrom']>): string[] {
  return sources.map(({ prefix = '', configMapRef, secretRef }) => {
    const kind = configMapRef === undefined ? 'Secret' : 'ConfigMap';
    const { name = '', optional = false } = configMapRef ?? secretRef ?? {};
    const before = prefix === '' ? '' : ` with prefix '${prefix}'`;
    return `${name}  ${kind}${before}  Optional: ${optional}`;
  });
}

function statusEntries(status: ContainerStatus): Entry[] {
  const entries: Entry[] = [...stateEntries('State', status.state)];
  if (Object.keys(status.lastState ?? {}).length > 0) {
    entries.push(...stateEntries('Last State', status.lastState));
  }
  entries.push(['Ready', status.ready ? 'True' : 'False']);
  entries.push(['Restart Count', String(status.restartCount)]);
  return entries;
}

function stateEntries(label: string, state: ContainerState | undefined): Entry[] {
  const { running, terminated, waiting } = state ?? {};
  if (running !== undefined) {
    return [
      [label, 'Running'],
      ['  Started', timeText(running.startedAt)],
    ];
  }
  if (terminated !== undefined) {
    const { reason, message, exitCode, signal, startedAt, finishedAt } = terminated;
    const startMs = parseTime(startedAt);
    const endMs = parseTime(finishedAt);
    const entries: Entry[] = [[label, 'Terminated']];
    if (reason !== undefined) entries.push(['  Reason', reason]);
    if (message !== undefined && message !== '') entries.push(['  Message', message.split('\n')]);
    entries.push(['  Exit Code', String(exitCode)]);
    if (signal !== undefined) entries.push(['  Signal', String(signal)]);
    entries.push(['  Started', timeText(startedAt)], ['  Finished', timeText(finishedAt)]);
    if (startMs !== null && endMs !== null) {
      entries.push(['  Duration', humanDuration(endMs - startMs)]);
    }
    return entries;
  }
  const entries: Entry[] = [[label, 'Waiting']];
  if (waiting?.reason !== undefined) entries.push(['  Reason', waiting.reason]);
  if (waiting?.message !== undefined) entries.push(['  Message', waiting.message.split('\n')]);
  return entries;
}

function volumesValue(volumes: readonly { readonly name: string }[]): Entry[1] {
  if (volumes.length === 0) return '<none>';
  return {
    part: volumes.flatMap((volume) => {
      const [[type, source] = ['', {}]] = Object.entries(volume).filter(([key]) => key !== 'name');
      const settings = Object.entries((source ?? {}) as Record<string, unknown>);
      const lines = formatEntries([
        ['Type', type],
        ...settings.map(([key, value]): Entry => [key, settingText(value)]),
      ]);
      return [`${volume.name}:`, ...lines.map((line) => `  ${line}`)];
    }),
  };
}

/** A setting of a volume; a list of keys and paths as JSON. */
function settingText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
