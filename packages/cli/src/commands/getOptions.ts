import type { ObjectOptions } from '../options.ts';
import type { PrintOptions } from '../print/printer.ts';

/** Options of `drover get`. */
export interface GetOptions extends ObjectOptions {
  selector?: string;
  allNamespaces?: boolean;
  watch?: boolean;
  headers: boolean;
  showLabels?: boolean;
  limit?: number;
  output?: PrintOptions['output'];
}

/** How `get` prints, from its options. */
export function printOptions(options: GetOptions): PrintOptions {
  return {
    ...(options.output === undefined ? {} : { output: options.output }),
    withNamespace: options.allNamespaces === true,
    headers: options.headers,
    showLabels: options.showLabels === true,
  };
}
