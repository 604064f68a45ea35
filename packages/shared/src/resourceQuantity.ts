import * as z from 'zod';

import { QUANTITY_PROBLEM, formatQuantity, parseQuantity } from './quantity.ts';

/** An amount of a resource; stored in canonical form, `1` and `"1000m"` both as `"1"`. */
export const ResourceQuantity = z
  .union([z.string(), z.number()], { error: QUANTITY_PROBLEM })
  .transform((value, ctx) => {
    const quantity = parseQuantity(String(value));
    if (quantity !== null) return formatQuantity(quantity);
    ctx.issues.push({ code: 'custom', message: QUANTITY_PROBLEM, input: value });
    return z.NEVER;
  });
