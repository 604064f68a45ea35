// As a whole: an old Node can not load a module that names what it does not have, and so not say so.
import * as nodeModule from 'node:module';

import type { HandlerDefinition } from './defineHandler.ts';

/** A module that exports handlers, so that threads can load it, too. */
export interface HandlerModule {
  /** URL of the module. */
  readonly url: string;
  /** URL of a module whose `@drover/...` packages it gets when it finds none itself; null = none. */
  readonly packagesFrom: string | null;
}

/**
 * Loads a module and gives its exports that defineHandler made, alone or in a list. Rejects with
 * whatever the module throws.
 */
export async function importHandlers(module: HandlerModule): Promise<HandlerDefinition[]> {
  const hooks = module.packagesFrom === null ? null : lendPackages(module.packagesFrom);
  try {
    const exported = (await import(module.url)) as Record<string, unknown>;
    return Object.values(exported).flat().filter(isHandler);
  } finally {
    hooks?.deregister();
  }
}

/** What went wrong with a module: the first line of the message, and where in the user's code it comes from. */
export function describeImportError(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  const message = error.message.split('\n')[0] ?? '';
  // A syntax error begins with the place, others have it among their frames; Node's own have no path.
  const place = /(?:file:\/\/)?(\/[^\s()]+:\d+)/.exec(
    (error.stack ?? '').replace(error.message, ''),
  );
  return place?.[1] === undefined ? message : `${message} (${place[1]})`;
}

/** Packages of Drover that a module can't find are looked for from there. */
function lendPackages(parentURL: string): { deregister(): void } {
  return nodeModule.registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        return nextResolve(specifier, context);
      } catch (error) {
        if (!specifier.startsWith('@drover/')) throw error;
        return nextResolve(specifier, { ...context, parentURL });
      }
    },
  });
}

/** By its form: the module may have its own copy of the package. */
function isHandler(value: unknown): value is HandlerDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const { name, run } = value as Partial<HandlerDefinition>;
  return typeof name === 'string' && typeof run === 'function' && 'schema' in value;
}
