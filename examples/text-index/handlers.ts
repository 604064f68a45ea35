// Which words are in which files: each file is an item of a work queue, and what a pod finds in it is the item's
// result. Any number of workers share the files; none is read twice but after a crash, and none is left out.
//   drover dev --handlers examples/text-index/handlers.ts
//   drover enqueue texts --glob "$PWD/docs/**/*.md" --key . --seal
//   drover apply -f examples/text-index/job.yaml
//   drover queue results texts --follow -o ndjson | node examples/text-index/lookup.ts lease queue
import { readFile } from 'node:fs/promises';

import { defineItemHandler } from '@drover/sdk/handlers';

/** What is kept of a file: a result has at most 64 KiB. */
const MOST_WORDS = 2_000;

/** Counts the words of the file whose path is the item. */
export const indexText = defineItemHandler(
  'index-text',
  async ({ data, signal }) => {
    if (typeof data !== 'string') throw new Error('the item is not the path of a file');
    const text = await readFile(data, { encoding: 'utf8', signal });
    const counts = new Map<string, number>();
    for (const [word] of text.toLowerCase().matchAll(/\p{L}{3,20}/gu)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    const often = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, MOST_WORDS);
    return { file: data, words: Object.fromEntries(often) };
  },
  // Reading a file is waiting: four at a time in each pod.
  { concurrency: 4 },
);
