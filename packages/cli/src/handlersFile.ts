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
import { EXIT } from './exitCodes.ts';

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

/** URLs of the modules, whether they are there or not. */
export function handlerUrls(files: readonly string[]): string[] {
  return files.map((file) => pathToFileURL(resolve(file)).href);
}

function moduleOf(file: string): HandlerModule {
  const path = resolve(file);
  if (!existsSync(path)) throw badInput(`--handlers ${file}: no such file`);
  return { url: pathToFileURL(path).href, packagesFrom: import.meta.url };
}

async function load(file: string, module: HandlerModule): Promise<HandlerDefinition[]> {
  const untell = tellExit(file);
  try {
    return await importHandlers(module);
  } catch (error) {
    throw badInput(`--handlers ${file}: ${describeImportError(error)}`);
  } finally {
    untell();
  }
}

/**
 * Says so when the process ends while a module is being loaded: Node does that without a word, or with one that
 * points to Drover.
 *
 * @returns Stops that.
 */
function tellExit(file: string): () => void {
  const tell = (what: string): void => {
    process.stderr.write(`error: --handlers ${file}: ${what}\n`);
  };
  const onExit = (code: number): void => {
    tell(`it ended the process with exit code ${code} while it was being loaded`);
    process.exitCode = EXIT.badInput;
  };
  // Nothing is left to do, and the module has not been loaded.
  const onIdle = (): void => {
    tell('it awaits something at its top level that never comes');
    process.off('exit', onExit);
    process.exit(EXIT.badInput);
  };
  process.once('exit', onExit);
  process.once('beforeExit', onIdle);
  return () => {
    process.off('exit', onExit);
    process.off('beforeExit', onIdle);
  };
}
