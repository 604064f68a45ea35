import type { ConfigMap, Container, Secret } from '@drover/shared';

/** What pods take settings from. */
export type ConfigKind = 'ConfigMap' | 'Secret';

/** Names a ConfigMap or Secret in the namespace of a pod. */
export interface ConfigRef {
  readonly kind: ConfigKind;
  readonly name: string;
}

/** Why a container can not be started as long as nothing else changes, in words for its status. */
export class ConfigProblem extends Error {
  /** As in `state.waiting` of Kubernetes. */
  readonly reason: string;
  /** Only this host can mend it: nobody tells when that happened. */
  readonly isOfHost: boolean;

  constructor(
    message: string,
    options: { readonly reason?: string; readonly isOfHost?: boolean } = {},
  ) {
    super(message);
    this.reason = options.reason ?? 'CreateContainerConfigError';
    this.isOfHost = options.isOfHost ?? false;
  }
}

/** The content of a ConfigMap or Secret. */
export interface ConfigContent {
  /** What may become environment variables. */
  readonly texts: Readonly<Record<string, string>>;
  /** What may become files. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/** ConfigMaps and Secrets as they were read for one container or pod. */
export class ConfigSet {
  readonly #contents: ReadonlyMap<string, ConfigContent | null>;

  /** @param contents - By {@link refKey}; null = there is no such object. */
  constructor(contents: ReadonlyMap<string, ConfigContent | null>) {
    this.#contents = contents;
  }

  /**
   * The content of an object; null when there is none and that is allowed.
   *
   * @throws ConfigProblem when there is none.
   */
  get(ref: ConfigRef, optional: boolean | undefined): ConfigContent | null {
    const content = this.#contents.get(refKey(ref)) ?? null;
    if (content !== null || optional === true) return content;
    throw new ConfigProblem(`${ref.kind.toLowerCase()} "${ref.name}" not found`);
  }
}

/** Of pods that need none. */
export const NO_CONFIGS = new ConfigSet(new Map());

/** A name that is unique among ConfigMaps and Secrets of a namespace. */
export function refKey({ kind, name }: ConfigRef): string {
  return `${kind}/${name}`;
}

/** What the environment of a container is made from. */
export function environmentRefs({
  env = [],
  envFrom = [],
}: Pick<Container, 'env' | 'envFrom'>): ConfigRef[] {
  const refs: ConfigRef[] = [];
  const add = (kind: ConfigKind, source: { readonly name: string } | undefined): void => {
    if (source !== undefined) refs.push({ kind, name: source.name });
  };
  for (const { configMapRef, secretRef } of envFrom) {
    add('ConfigMap', configMapRef);
    add('Secret', secretRef);
  }
  for (const { valueFrom } of env) {
    add('ConfigMap', valueFrom?.configMapKeyRef);
    add('Secret', valueFrom?.secretKeyRef);
  }
  return distinct(refs);
}

/** Each object once. */
export function distinct(refs: readonly ConfigRef[]): ConfigRef[] {
  return [...new Map(refs.map((ref) => [refKey(ref), ref])).values()];
}

/** What a ConfigMap holds. */
export function configMapContent({ data = {}, binaryData = {} }: ConfigMap): ConfigContent {
  const texts = Object.entries(data).map(([key, text]) => [key, Buffer.from(text)] as const);
  const bytes = Object.entries(binaryData).map(([key, text]) => [key, decode(text)] as const);
  return { texts: data, files: new Map([...texts, ...bytes]) };
}

/** What a Secret holds. */
export function secretContent({ data = {} }: Pick<Secret, 'data'>): ConfigContent {
  const files = Object.entries(data).map(([key, text]) => [key, decode(text)] as const);
  return {
    texts: Object.fromEntries(files.map(([key, bytes]) => [key, bytes.toString('utf8')])),
    files: new Map(files),
  };
}

function decode(text: string): Buffer {
  return Buffer.from(text, 'base64');
}
