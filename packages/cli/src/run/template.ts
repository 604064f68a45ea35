import { posix } from 'node:path';

import { badInput } from '../errors.ts';

/** One combination of arguments: a value of each source. */
export type ArgumentRow = readonly string[];

/** A replacement string such as `{}`, `{2/.}` or `{#}`. */
interface Replacement {
  /** `#`: the number of the run; else what of the value is put in. */
  readonly what: '' | '.' | '/' | '//' | '/.' | '#';
  /** Number of the source, from 1, negative from the end; null = all of them. */
  readonly source: number | null;
}

type Part = string | Replacement;

const REPLACEMENT = /\{(-?[1-9]\d*)?(\/\.|\/\/|\/|\.)?\}|\{#\}/g;
/** What GNU parallel replaces and we can not: it must not get into a program unnoticed. */
const UNSUPPORTED: readonly (readonly [RegExp, string])[] = [
  [/\{%\}/, 'the number of a job slot is not known here; {#} is the number of the run'],
  [/\{=.*=\}/s, 'Perl expressions are not evaluated; let the program do it, or sh -c'],
];

/** Words in which arguments replace `{}` and its like. */
export class Template {
  readonly #words: readonly (readonly Part[])[];

  /**
   * @param words - As typed; without any replacement string `{}` is added as a last word.
   * @throws CliError for a replacement string that does not exist here.
   */
  constructor(words: readonly string[], options: { readonly appends: boolean }) {
    const parsed = words.map(parseWord);
    const isFixed = parsed.every((parts) => parts.every((part) => typeof part === 'string'));
    this.#words = isFixed && options.appends ? [...parsed, parseWord('{}')] : parsed;
  }

  /** @throws CliError when a source is named that is not there. */
  checkSources(count: number): void {
    for (const part of this.#words.flat()) {
      if (typeof part === 'string' || part.source === null) continue;
      if (Math.abs(part.source) <= count) continue;
      const sources =
        count === 1 ? 'there is one source of arguments' : `there are ${count} sources`;
      throw badInput(`{${part.source}${part.what}} in the command: ${sources}`);
    }
  }

  /** The words of a run, for a program without a shell; `{}` alone becomes a word per source. */
  words(row: ArgumentRow, seq: number): string[] {
    return this.#words.flatMap((parts) => {
      const [only] = parts;
      if (parts.length === 1 && only !== undefined && typeof only !== 'string') {
        return valuesOf(only, row, seq);
      }
      return [fill(parts, row, seq, (value) => value)];
    });
  }

  /** All words as one text, with every value quoted, for a shell. */
  script(row: ArgumentRow, seq: number): string {
    return this.#words.map((parts) => fill(parts, row, seq, quoteForShell)).join(' ');
  }

  /** All words as one text, with values as they are. */
  text(row: ArgumentRow, seq: number): string {
    return this.#words.map((parts) => fill(parts, row, seq, (value) => value)).join(' ');
  }
}

/** Whether a word has a replacement string. */
export function hasReplacement(word: string): boolean {
  return word.search(REPLACEMENT) !== -1;
}

/** Whether a word has a replacement string that needs arguments. */
export function wantsArguments(word: string): boolean {
  return [...word.matchAll(REPLACEMENT)].some(([match]) => match !== '{#}');
}

/**
 * Quotes a text so that any POSIX shell takes it as one word; as GNU parallel writes it, so that
 * job logs agree.
 */
export function quoteForShell(text: string): string {
  if (text === '') return "''";
  if (/^[-_.+a-z0-9/]+$/i.test(text)) return text;
  return `'${text.replaceAll("'", `'"'"'`)}'`.replace(/^''/, '').replace(/''$/, '');
}

function parseWord(word: string): Part[] {
  for (const [pattern, why] of UNSUPPORTED) {
    const found = pattern.exec(word);
    if (found !== null) throw badInput(`${found[0]} in the command: ${why}`);
  }
  const parts: Part[] = [];
  let end = 0;
  for (const match of word.matchAll(REPLACEMENT)) {
    if (match.index > end) parts.push(word.slice(end, match.index));
    end = match.index + match[0].length;
    const [text, source, what = ''] = match;
    parts.push({
      what: text === '{#}' ? '#' : (what as Replacement['what']),
      source: source === undefined ? null : Number(source),
    });
  }
  if (end < word.length || parts.length === 0) parts.push(word.slice(end));
  return parts;
}

function fill(
  parts: readonly Part[],
  row: ArgumentRow,
  seq: number,
  quote: (value: string) => string,
): string {
  return parts
    .map((part) =>
      typeof part === 'string' ? part : valuesOf(part, row, seq).map(quote).join(' '),
    )
    .join('');
}

function valuesOf({ what, source }: Replacement, row: ArgumentRow, seq: number): string[] {
  if (what === '#') return [String(seq)];
  if (source === null) return row.map((value) => partOf(value, what));
  return [partOf(row.at(source > 0 ? source - 1 : source) ?? '', what)];
}

function partOf(value: string, what: Replacement['what']): string {
  switch (what) {
    case '.':
      return value.replace(/\.[^/.]*$/, '');
    case '/':
      return value.replace(/^.*\//s, '');
    case '//':
      return posix.dirname(value).replace(/(?!^)\/+$/, '');
    case '/.':
      return value.replace(/^.*\//s, '').replace(/\.[^/.]*$/, '');
    default:
      return value;
  }
}
