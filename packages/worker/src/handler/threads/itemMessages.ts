/** An item as a thread gets it. */
export interface SentItem {
  /** Number of this delivery within the run: an item may come to a pod twice. */
  readonly handle: number;
  readonly id: number;
  readonly key: string | null;
  readonly data: unknown;
  readonly attempt: number;
}

/** What the handler in a thread wants of its items. */
export type ItemRequest =
  /** The next item of a walk; the one before is left. */
  | { readonly type: 'next'; readonly walk: number; readonly prefetch: number }
  /** A walk is over. */
  | { readonly type: 'leave'; readonly walk: number }
  /** An item is completed; the result as JSON, '' = none. */
  | { readonly type: 'complete'; readonly handle: number; readonly payload: string }
  | {
      readonly type: 'fail';
      readonly handle: number;
      readonly message: string;
      readonly retry: boolean;
    };

/** What became of an {@link ItemRequest}. */
export type ItemAnswer =
  | { readonly type: 'item'; readonly item: SentItem }
  /** All is done. */
  | { readonly type: 'over' }
  /** What was said of an item is recorded. */
  | { readonly type: 'recorded' }
  | { readonly type: 'error'; readonly name: string; readonly message: string };

/** To a thread, about items. */
export type ItemMessage =
  | {
      readonly type: 'itemAnswer';
      readonly run: number;
      readonly request: number;
      readonly answer: ItemAnswer;
    }
  /** Another worker may have got an item. */
  | {
      readonly type: 'itemLost';
      readonly run: number;
      readonly handle: number;
      readonly message: string;
    };

/** From a thread, about items. */
export interface ItemRequestMessage {
  readonly type: 'itemRequest';
  readonly run: number;
  /** Another one for each request of the run. */
  readonly number: number;
  readonly request: ItemRequest;
}
