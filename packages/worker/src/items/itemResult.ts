/**
 * The result of an item as it is kept; '' = none.
 *
 * @throws TypeError when it can't be kept.
 */
export function resultText(result: unknown, maxBytes: number): string {
  if (result === undefined) return '';
  let text: string | undefined;
  try {
    text = JSON.stringify(result);
  } catch (error) {
    throw new TypeError(`the result of an item is not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (text === undefined) return '';
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) {
    throw new TypeError(
      `the result of an item has ${bytes} bytes as JSON; at most ${maxBytes} are kept: store it elsewhere and give where`,
    );
  }
  return text;
}
