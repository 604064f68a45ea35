import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * Tells the files that modules are made of: they themselves, and what they import, and what that imports, now or
 * later. Not what lies in node_modules, and not Drover's own.
 *
 * @param urls - URLs of the modules.
 * @param tell - Called once for each file, before it is loaded; also for one that is not there.
 */
export function tellSources(urls: readonly string[], tell: (path: string) => void): void {
  const sources = new Set<string>();
  const add = (url: string): void => {
    // Of a module that is loaded anew under another query, the file is the same.
    const plain = url.replace(/[?#].*$/, '');
    if (!plain.startsWith('file:') || plain.includes('/node_modules/') || sources.has(plain))
      return;
    sources.add(plain);
    tell(fileURLToPath(plain));
  };
  for (const url of urls) add(url);
  registerHooks({
    resolve(specifier, context, nextResolve) {
      // Of the modules themselves a path with links in it was given; what they import has the real one.
      const isOurs =
        urls.includes(specifier) || sources.has((context.parentURL ?? '').replace(/[?#].*$/, ''));
      if (!isOurs || specifier.startsWith('@drover/')) return nextResolve(specifier, context);
      try {
        const resolved = nextResolve(specifier, context);
        add(resolved.url);
        return resolved;
      } catch (error) {
        // It may come to be.
        if (/^\.{0,2}\//.test(specifier)) add(new URL(specifier, context.parentURL).href);
        throw error;
      }
    },
  });
}
