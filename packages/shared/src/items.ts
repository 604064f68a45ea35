/** What is known of items, apart: for programs that need none of the rest, which takes long to load. */
export { inexactNumber } from './inexactNumber.ts';

/** Most bytes of an item's data as JSON. */
export const MAX_ITEM_BYTES = 256 * 1024;
/** Most bytes of an item's result as JSON. */
export const MAX_ITEM_RESULT_BYTES = 64 * 1024;
/** Most bytes of an item's key. */
export const MAX_ITEM_KEY_BYTES = 256;
