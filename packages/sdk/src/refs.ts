/** Names an object: by its name in the client's namespace, or by the object itself. */
export type ObjectRef =
  | string
  | {
      readonly metadata: {
        readonly name: string;
        readonly namespace?: string | undefined;
        readonly uid?: string | undefined;
      };
    };

/** A reference with everything that is known of it. */
export interface ResolvedRef {
  readonly name: string;
  readonly namespace: string;
  /** Only this object, not a later one of the same name; null = whichever has the name. */
  readonly uid: string | null;
}

/** Resolves a reference. An object is meant as it is: a later one of its name is another one. */
export function resolveRef(ref: ObjectRef, namespace: string): ResolvedRef {
  if (typeof ref === 'string' && ref !== '') return { name: ref, namespace, uid: null };
  // A caller without types may give anything.
  const metadata = (ref as Exclude<ObjectRef, string> | null | undefined)?.metadata;
  if (typeof metadata?.name !== 'string' || metadata.name === '') {
    throw new TypeError(
      `an object is named by its name or given itself, with metadata.name; got ${JSON.stringify(ref)}`,
    );
  }
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? namespace,
    uid: metadata.uid === undefined || metadata.uid === '' ? null : metadata.uid,
  };
}
