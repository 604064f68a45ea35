import type { ObjectMeta } from '@drover/shared';
import type { Field } from '@drover/shared/explain';

import type { User } from '../access/user.ts';
import type { ApiObject } from './object.ts';
import type { SelectableFields, Selection } from './selection.ts';
import type { TableDefinition } from './table.ts';

/** Where objects are looked for. */
export interface Scope {
  /** null = in all namespaces, or the kind has none. */
  readonly namespace: string | null;
  readonly selection: Selection;
}

/** Which part of a list is wanted. */
export interface PageRequest extends Scope {
  /** At most so many; null = all. */
  readonly limit: number | null;
  /** Where the page before ended, as its `next`; null = from the beginning. */
  readonly after: string | null;
  /** As things were at this version, or later: 0 = at any. null = as they are now. */
  readonly notOlderThan: number | null;
}

/** A part of a list. */
export interface Page {
  readonly items: readonly ApiObject[];
  /** Where the next page begins; null = that was all. */
  readonly next: string | null;
  /** A watch from here misses nothing that happened since. */
  readonly resourceVersion: string;
}

/** Something that happened to an object, or to what a watch knows. */
export interface WatchEvent {
  /** BOOKMARK: everything up to the object's resourceVersion has been told. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: WatchedObject;
  /** Nothing is known of the object but its metadata. */
  readonly isRemains: boolean;
}

/** An object of a watch; of a bookmark only the version is there. */
export interface WatchedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Partial<ObjectMeta>;
}

/** From where a watch begins. */
export interface WatchRequest extends Scope {
  /**
   * `initial`: what is there is told first, as ADDED, and then a bookmark. `since`: what happened
   * after a resourceVersion. `now`: what happens from now on.
   */
  readonly from:
    | { readonly type: 'initial' | 'now' }
    | { readonly type: 'since'; readonly version: number };
  /** Every so often a bookmark is wanted, ms. null = none but that after the initial events. */
  readonly bookmarkMs: number | null;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/** What a client wants of a change. */
export interface WriteOptions {
  readonly namespace: string;
  /** Who wants it. */
  readonly user: User;
  /** Check only. */
  readonly dryRun: boolean;
  /** Told of what the client should know. */
  readonly onWarning: (warning: string) => void;
}

/** How an object is to be deleted. */
export interface DeleteOptions extends WriteOptions {
  readonly propagationPolicy: 'Background' | 'Foreground' | 'Orphan' | null;
  readonly gracePeriodSeconds: number | null;
  /** Only the object with this uid. */
  readonly uid: string | null;
  /** Only the object of this version. */
  readonly resourceVersion: string | null;
}

/** A kind of objects that the API serves. What is missing is not done: its verbs are not offered. */
export interface Resource {
  /** Group of the API; empty for the core. */
  readonly group: string;
  readonly version: string;
  /** Name in paths, as in `jobs`. */
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  readonly shortNames: readonly string[];
  /** `all` for what `kubectl get all` shows. */
  readonly categories: readonly string[];
  /** What its fields mean. */
  readonly explained: Field;
  readonly table: TableDefinition<never>;
  /** What field selectors may name, beside name and namespace. */
  readonly fields: SelectableFields<never>;
  /** Reads one; throws NotFoundError. */
  get?(name: string, namespace: string): Promise<ApiObject>;
  /** Reads some, in a fixed order. */
  list?(request: PageRequest): Promise<Page>;
  /** Follows them. Throws WatchExpiredError when events may be missing. */
  watch?(request: WatchRequest): AsyncGenerator<WatchEvent>;
  /** Stores a new one. */
  create?(input: unknown, options: WriteOptions): Promise<ApiObject>;
  /**
   * Changes one: reads it, applies the change, stores it, and begins anew when somebody else was
   * quicker, unless the change asks for the version that it was made for.
   */
  update?(
    name: string,
    change: (stored: ApiObject) => unknown,
    options: WriteOptions,
  ): Promise<ApiObject>;
  /** Deletes one; answers it as it was, or is now when it is not gone yet. */
  delete?(name: string, options: DeleteOptions): Promise<ApiObject>;
  /** Its status can be read, and is not touched when the object is written. */
  readonly hasStatus: boolean;
}
