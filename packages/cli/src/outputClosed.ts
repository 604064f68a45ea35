type Listener = () => void;

let listener: Listener | null = null;

/**
 * Calls back when nobody reads standard output any more, as in `drover run ... | head -1`.
 *
 * @returns Ends it: then the process ends at once, as commands do that only print.
 */
export function onOutputClosed(callback: Listener): () => void {
  listener = callback;
  return () => {
    listener = null;
  };
}

/** Standard output was closed by its reader. */
export function outputClosed(): void {
  if (listener === null) process.exit();
  listener();
}
