/**
 * A number in a JSON text that would become another one when it is parsed; null = none would. Whole numbers beyond 2^53, such
 * as the ids of some services, would be rounded without a word.
 */
export function inexactNumber(text: string): string | null {
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)) {
    if (!/^-?\d{16,}$/.test(token)) continue;
    if (BigInt(token) !== BigInt(Number(token))) return token;
  }
  return null;
}
