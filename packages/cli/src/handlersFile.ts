import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { HandlerDefinition } from '@drover/worker';

import { badInput } from './errors.ts';

/**
 * Loads handlers from modules: every export made with defineHandler, alone or in a list. TypeScript
 * is loaded as it is, and a module that can't find `@drover/sdk` gets the one of this command: it
 * may lie anywhere.
 *
 * @throws CliError when a module can't be loaded, has no handlers, or two have one name.
 */
export async function loadHandlers(files: readonly string[]): Promise<HandlerDefinition[]> {
  const handlers = new Map<string, HandlerDefinition>();
  for (const file of files) {
    const found = Object.values(await load(file))
      .flat()
      .filter(isHandler);
    if (found.length === 0) {
      throw badInput(`--handlers ${file}: exports nothing that defineHandler made`);
    }
    for (const handler of found) {
      const known = handlers.get(handler.name);
      if (known !== undefined && known !== handler) {
        throw badInput(`--handlers ${file}: there is another handler "${handler.name}"`);
      }
      handlers.set(handler.name, handler);
    }
  }
  return [...handlers.values()];
}

async function load(file: string): Promise<Record<string, unknown>> {
  const path = resolve(file);
  if (!existsSync(path)) throw badInput(`--handlers ${file}: no such file`);
  const hooks = lendOwnPackages();
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    throw badInput(`--handlers ${file}: ${describeError(error)}`);
  } finally {
    hooks.deregister();
  }
}

/** Packages of Drover that a module can't find are looked for from here. */
function lendOwnPackages(): { deregister(): void } {
  return registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        return nextResolve(specifier, context);
      } catch (error) {
        if (!specifier.startsWith('@drover/')) throw error;
        return nextResolve(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}

/** The first line of the message, and where in the user's code it comes from. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message.split('\n')[0] ?? '';
  // A syntax error begins with the place, others have it among their frames; Node's own have no path.
  const place = /(?:file:\/\/)?(\/[^\s()]+:\d+)/.exec(
    (error.stack ?? '').replace(error.message, ''),
  );
  return place?.[1] === undefined ? message : `${message} (${place[1]})`;
}

/** By its form: the module may have its own copy of the package. */
function isHandler(value: unknown): value is HandlerDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const { name, run } = value as Partial<HandlerDefinition>;
  return typeof name === 'string' && typeof run === 'function' && 'schema' in value;
}
