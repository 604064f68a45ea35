// Reads the results of text-index from standard input and prints the files that have all of the words, those that
// have them most often first:
//   drover queue results texts -o ndjson | node examples/text-index/lookup.ts WORD...
import { createInterface } from 'node:readline';

interface Line {
  readonly result: { readonly file: string; readonly words: Readonly<Record<string, number>> };
}

const words = process.argv.slice(2).map((word) => word.toLowerCase());
const found: { readonly file: string; readonly count: number }[] = [];
for await (const line of createInterface({ input: process.stdin })) {
  const { file, words: counts } = (JSON.parse(line) as Line).result;
  const each = words.map((word) => counts[word] ?? 0);
  if (Math.min(...each) > 0) found.push({ file, count: each.reduce((sum, count) => sum + count) });
}
for (const { file, count } of found.toSorted((a, b) => b.count - a.count)) {
  console.log(`${String(count).padStart(5)}  ${file}`);
}
