/** JSON of objects. Many lists and watches tell of the same object: its text is made once. */

const TEXTS = new WeakMap<object, string>();
const METADATA_TEXTS = new WeakMap<object, string>();

/** An object as JSON; it does not change any more. */
export function jsonOf(object: object): string {
  return once(TEXTS, object, object);
}

/** An object without all but its metadata as JSON. */
export function metadataJsonOf(object: { readonly metadata: object }): string {
  const known = METADATA_TEXTS.get(object);
  if (known !== undefined) return known;
  return once(METADATA_TEXTS, object, partialMetadata(object));
}

/** An object without all but its metadata. */
function partialMetadata({ metadata }: { readonly metadata: object }) {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } as const;
}

function once(texts: WeakMap<object, string>, key: object, value: object): string {
  const known = texts.get(key);
  if (known !== undefined) return known;
  const text = JSON.stringify(value);
  texts.set(key, text);
  return text;
}

/** JSON of an object with some fields, the last of which is a list of what is JSON already. */
export function withList(fields: object, name: string, items: readonly string[]): string {
  return `${JSON.stringify(fields).slice(0, -1)},${JSON.stringify(name)}:[${items.join(',')}]}`;
}
