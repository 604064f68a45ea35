import { base64Size, readObject, type Secret, SECRET_KIND, SecretKeyError } from '@drover/shared';
import { composeMetadata } from '../compose/object.ts';
import type { StoredObject } from '../objectApi.ts';
import type { SecretKeyFile } from './keyFile.ts';
import type { Sealed, SecretKeys } from './keys.ts';

/** What can be said of a Secret without its key. */
export interface SecretSummary extends Omit<Secret, 'data'> {
  /** Bytes of each value by its key. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Name of the key that it is encrypted with. */
  readonly keyId: string;
}

/** What is stored of a Secret: all in plain text but what is sealed. */
interface SecretObject extends Omit<Secret, 'data'> {
  readonly sizes: Readonly<Record<string, number>>;
  readonly sealed: Sealed;
}

/** What is sealed. */
interface SecretContent {
  readonly data: Readonly<Record<string, string>>;
  /** kubectl keeps the manifest with its data in this annotation. */
  readonly lastApplied?: string;
}

/** The annotation in which `apply` keeps the manifest. */
export const LAST_APPLIED_ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration';

/** The text under which a Secret is stored. */
export function sealSecret({ data = {}, metadata, ...others }: Secret, keys: SecretKeys): string {
  const { annotations = {}, resourceVersion: _version, ...kept } = metadata;
  const { [LAST_APPLIED_ANNOTATION]: lastApplied, ...shown } = annotations;
  const content: SecretContent = lastApplied === undefined ? { data } : { data, lastApplied };
  const object: SecretObject = {
    ...others,
    metadata: Object.keys(shown).length === 0 ? kept : { ...kept, annotations: shown },
    sizes: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64Size(text)])),
    sealed: keys.seal(JSON.stringify(content), contextOf(metadata)),
  };
  return JSON.stringify(object);
}

/** A Secret with its data. @throws SecretKeyError when this host has not the key. */
export async function unsealSecret(stored: StoredObject, file: SecretKeyFile): Promise<Secret> {
  const { sizes: _sizes, sealed, ...object } = JSON.parse(stored.object) as SecretObject;
  const { data, lastApplied } = await unseal(stored, sealed, file);
  const { metadata, ...others } = readObject(SECRET_KIND, object);
  const whole =
    lastApplied === undefined
      ? metadata
      : {
          ...metadata,
          annotations: { ...metadata.annotations, [LAST_APPLIED_ANNOTATION]: lastApplied },
        };
  return { ...others, data, metadata: composeMetadata(whole, stored) };
}

async function unseal(
  stored: StoredObject,
  sealed: Sealed,
  file: SecretKeyFile,
): Promise<SecretContent> {
  try {
    const keys = await file.with(sealed.key);
    return JSON.parse(keys.unseal(sealed, contextOf(stored))) as SecretContent;
  } catch (error) {
    if (!(error instanceof SecretKeyError)) throw error;
    const what = `the data of Secret "${stored.name}" in namespace "${stored.namespace}"`;
    throw new SecretKeyError(`${what} can not be read: ${error.message}`, { cause: error });
  }
}

/** A Secret without its data, for which no key is needed. */
export function summarizeSecret(stored: StoredObject): SecretSummary {
  const { sizes, sealed, ...object } = JSON.parse(stored.object) as SecretObject;
  const { data: _none, metadata, ...others } = readObject(SECRET_KIND, object);
  return { ...others, metadata: composeMetadata(metadata, stored), sizes, keyId: sealed.key };
}

/** Bytes of one Secret are worth nothing in another. */
function contextOf({
  namespace,
  name,
  uid,
}: {
  namespace: string;
  name: string;
  uid: string;
}): string {
  return ['Secret', namespace, name, uid].join('\0');
}
