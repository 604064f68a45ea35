/** Most bytes of the message of a pod that ended, as UTF-8. */
export const MAX_MESSAGE_BYTES = 4096;

/** The text, or as much of it as fits with an ellipsis, whole characters only. */
export function clipBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text;
  const ellipsis = '…';
  const room = maxBytes - Buffer.byteLength(ellipsis);
  const clipped = Buffer.from(text).subarray(0, room);
  // A character cut in two becomes U+FFFD at the end.
  return clipped.toString('utf8').replace(/\uFFFD+$/u, '') + ellipsis;
}
