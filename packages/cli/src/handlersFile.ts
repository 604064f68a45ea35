import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { HandlerDefinition } from '@drover/worker';

import { badInput } from './errors.ts';

/**
 * Loads handlers from modules: every export made with defineHandler, alone or in a list. TypeScript
 * is loaded as it is.
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
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw badInput(`--handlers ${file}: ${message.split('\n')[0] ?? ''}`);
  }
}

/** By its form: the module may have its own copy of the package. */
function isHandler(value: unknown): value is HandlerDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const { name, run } = value as Partial<HandlerDefinition>;
  return typeof name === 'string' && typeof run === 'function' && 'schema' in value;
}
