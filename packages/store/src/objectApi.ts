/** What the store says of objects that are kept as they are: ConfigMaps, Secrets. */

import type { QuotaDenial } from '@drover/shared';

import type { Owner } from './api.ts';

/** Names a kept object. */
export interface ObjectPath {
  /** As in manifests: `ConfigMap`. */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A kept object that is to be stored. */
export interface NewObject extends ObjectPath {
  /** Chosen by the caller: the idempotency key. */
  readonly uid: string;
  /** JSON of the object. */
  readonly object: string;
  /** How many finalizers it has. */
  readonly finalizerCount: number;
  /** What it belongs to. Default: nothing; of one that is replaced, what it belonged to before. */
  readonly owners?: readonly Owner[];
}

/** A kept object that is to be replaced. */
export interface ChangedObject extends NewObject {
  /** resourceVersion that the change was made from. */
  readonly expectedResourceVersion: number;
  /** It is to be deleted from now on: with its last finalizer, or at once. Default false. */
  readonly isDeletion?: boolean;
}

/** What became of a new object. */
export type ObjectCreated =
  | { readonly type: 'created'; readonly resourceVersion: number; readonly createdMs: number }
  | { readonly type: 'replayed' }
  | { readonly type: 'alreadyExists' }
  /** The quota of the namespace does not allow it. */
  | { readonly type: 'forbidden'; readonly denial: QuotaDenial };

/** What became of a change. `removed`: it was to be deleted, and this took its last finalizer away. */
export type ObjectUpdated =
  | { readonly type: 'updated' | 'removed'; readonly resourceVersion: number }
  | { readonly type: 'conflict' }
  | { readonly type: 'notFound' };

/** A kept object as stored. */
export interface StoredObject extends ObjectPath {
  readonly uid: string;
  readonly resourceVersion: number;
  /** Shard's time of creation; ms since the epoch. */
  readonly createdMs: number;
  /** When its deletion was asked for; null = it was not. */
  readonly deletedMs: number | null;
  /** JSON as it was stored. */
  readonly object: string;
}
