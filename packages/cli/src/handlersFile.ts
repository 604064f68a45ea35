import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import {
  describeImportError,
  importHandlers,
  type HandlerDefinition,
  type HandlerModule,
} from '@drover/worker';

import { badInput } from './errors.ts';

/**
 * Loads handlers from modules: every export made with defineHandler, alone or in a list. TypeScript
 * is loaded as it is, and a module that can't find `@drover/sdk` gets the one of this command: it
 * may lie anywhere.
 *
 * @throws CliError when a module can't be loaded, has no handlers, or two have one name.
 */
export async function loadHandlers(files: readonly string[]): Promise<HandlerDefinition[]> {
  const handlers = new Map<string, { handler: HandlerDefinition; module: HandlerModule }>();
  for (const file of files) {
    const module = moduleOf(file);
    const found = await load(file, module);
    if (found.length === 0) {
      throw badInput(`--handlers ${file}: exports nothing that defineHandler made`);
    }
    for (const handler of found) {
      const known = handlers.get(handler.name);
      if (known !== undefined && known.handler !== handler) {
        throw badInput(`--handlers ${file}: there is another handler "${handler.name}"`);
      }
      handlers.set(handler.name, { handler, module });
    }
  }
  return [...handlers.values()].map(({ handler, module }) => ({ ...handler, module }));
}

function moduleOf(file: string): HandlerModule {
  const path = resolve(file);
  if (!existsSync(path)) throw badInput(`--handlers ${file}: no such file`);
  return { url: pathToFileURL(path).href, packagesFrom: import.meta.url };
}

async function load(file: string, module: HandlerModule): Promise<HandlerDefinition[]> {
  try {
    return await importHandlers(module);
  } catch (error) {
    throw badInput(`--handlers ${file}: ${describeImportError(error)}`);
  }
}
