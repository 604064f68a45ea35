import type { ApiObject } from '../api/object.ts';

/** Objects by their uid, and in order of namespace and name. */
export class OrderedObjects<T extends ApiObject> {
  readonly #byUid = new Map<string, { readonly path: string; object: T }>();
  readonly #inOrder: { readonly path: string; readonly uid: string }[] = [];

  /** How many there are. */
  get size(): number {
    return this.#byUid.size;
  }

  get(uid: string): T | undefined {
    return this.#byUid.get(uid)?.object;
  }

  /** Adds one, or puts it in the place of what it was before. */
  set(object: T): void {
    const { uid } = object.metadata;
    const known = this.#byUid.get(uid);
    if (known !== undefined) {
      known.object = object;
      return;
    }
    const path = pathOf(object);
    this.#byUid.set(uid, { path, object });
    this.#inOrder.splice(this.#firstAt(path), 0, { path, uid });
  }

  delete(uid: string): void {
    const known = this.#byUid.get(uid);
    if (known === undefined) return;
    this.#byUid.delete(uid);
    let at = this.#firstAt(known.path);
    // One of the same name may have come before this one was gone.
    while (this.#inOrder[at]?.uid !== uid) at++;
    this.#inOrder.splice(at, 1);
  }

  /** All of them, in order. */
  *[Symbol.iterator](): Generator<T> {
    for (const { uid } of this.#inOrder) yield this.#byUid.get(uid)!.object;
  }

  /**
   * So many of those that are wanted, in order.
   *
   * @param namespace - null = of all.
   * @param after - Those after this `<namespace>/<name>`; null = from the beginning.
   */
  some(options: {
    readonly namespace: string | null;
    readonly after: string | null;
    readonly limit: number;
    readonly isWanted: (object: T) => boolean;
  }): { readonly objects: T[]; readonly next: string | null } {
    const { namespace, after, limit, isWanted } = options;
    const prefix = namespace === null ? '' : `${namespace}/`;
    const objects: T[] = [];
    // A path has no control characters.
    let at = this.#firstAt(after === null ? prefix : `${after}\0`);
    for (; at < this.#inOrder.length; at++) {
      const { path, uid } = this.#inOrder[at]!;
      if (!path.startsWith(prefix)) break;
      const { object } = this.#byUid.get(uid)!;
      if (!isWanted(object)) continue;
      if (objects.length === limit) return { objects, next: pathOf(objects.at(-1)!) };
      objects.push(object);
    }
    return { objects, next: null };
  }

  /** Where the first one is whose path is this, or comes after it. */
  #firstAt(path: string): number {
    let [low, high] = [0, this.#inOrder.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#inOrder[middle]!.path < path) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The place of an object in the order, as lists go on from it. */
export function pathOf({ metadata }: ApiObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}
