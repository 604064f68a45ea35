/** What clients of all kinds need to find what a call is about. */

import { parseSelector, type Selector } from '@drover/shared';
import type { Shard } from '@drover/store';

import type { Backend } from './backend.ts';
import { isPlainObject } from './mergePatch.ts';

/** The shards that a call is about, and the namespace; null = all of them. */
export interface Scope {
  readonly namespace: string | null;
  readonly shards: readonly Shard[];
}

/** Where to look: in the namespace of the call or else of the client, or in all. */
export async function scopeOf(
  backend: Backend,
  preset: string,
  options: { readonly namespace?: string; readonly allNamespaces?: boolean },
): Promise<Scope> {
  const store = await backend.store();
  if (options.allNamespaces === true) return { namespace: null, shards: store.shards };
  const namespace = options.namespace ?? preset;
  return { namespace, shards: [store.shardOf(namespace)] };
}

/** The namespace of a manifest: that of the call, else its own, else that of the client. */
export function namespaceOf(
  manifest: unknown,
  preset: string,
  options: { readonly namespace?: string },
): string {
  // A caller without types may give anything; who parses it says what is wrong with it.
  const metadata = isPlainObject(manifest) ? manifest['metadata'] : undefined;
  const own = isPlainObject(metadata) ? metadata['namespace'] : undefined;
  return options.namespace ?? (typeof own === 'string' && own !== '' ? own : preset);
}

/** A selector as a user writes it; none selects all. @throws InvalidSelectorError */
export function readSelector(text: string | undefined): Selector {
  return text === undefined || text === '' ? [] : parseSelector(text);
}

/** Orders objects by namespace and name. */
export function byNamespaceAndName(
  a: { readonly namespace: string; readonly name: string },
  b: { readonly namespace: string; readonly name: string },
): number {
  const order = (x: string, y: string) => (x < y ? -1 : x > y ? 1 : 0);
  return order(a.namespace, b.namespace) || order(a.name, b.name);
}
