import type * as z from 'zod';

/** Every field of a schema: its path in the table, with `[*]` for items of lists. */
export function schemaPaths(schema: z.core.$ZodType, path = ''): string[] {
  const { def } = schema as unknown as { readonly def: z.core.$ZodTypes['_zod']['def'] };
  switch (def.type) {
    case 'optional':
    case 'default':
    case 'prefault':
      return schemaPaths(def.innerType, path);
    case 'pipe':
      return schemaPaths(def.in, path);
    case 'array':
      return schemaPaths(def.element, `${path}[*]`);
    case 'object':
      return Object.entries(def.shape).flatMap(([name, field]) => {
        const here = path === '' ? name : `${path}.${name}`;
        return [here, ...schemaPaths(field, here)];
      });
    default:
      return [];
  }
}

/** Whether a path of the table lies within another. */
export function isBelow(path: string, above: string): boolean {
  return path.startsWith(`${above}.`) || path.startsWith(`${above}[`);
}
