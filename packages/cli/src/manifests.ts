import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import {
  LineCounter,
  isMap,
  isScalar,
  isSeq,
  parseAllDocuments,
  type Document,
  type ScalarTag,
  type Tags,
} from 'yaml';

import { badInput } from './errors.ts';

/** One object of a manifest file, with the means to say where in the file a field is. */
export interface Manifest {
  /** File name as the user gave it, or `stdin`. */
  readonly file: string;
  /** The object as plain data. */
  readonly object: Readonly<Record<string, unknown>>;
  /**
   * `file:line:column` of a field, by its dotted path (`spec.template.spec.containers[0].image`);
   * of its nearest parent when the field is missing.
   */
  readonly locate: (path: string) => string;
}

/**
 * Reads manifests, YAML or JSON, with any number of documents in a file; `-` is standard input,
 * a directory stands for its .yaml, .yml and .json files.
 *
 * @throws CliError with file, line and column of every syntax error in all of the files.
 */
export async function readManifests(paths: readonly string[]): Promise<Manifest[]> {
  const manifests: Manifest[] = [];
  const problems: string[] = [];
  for (const path of paths) {
    for (const { file, text } of await readSources(path)) {
      const parsed = parseManifests(file, text);
      manifests.push(...parsed.manifests);
      problems.push(...parsed.problems);
    }
  }
  if (problems.length > 0) throw badInput(problems[0] ?? '', problems.slice(1));
  if (manifests.length === 0) throw badInput(`no objects in ${paths.join(', ')}`);
  return manifests;
}

/** Parses the documents of one file. Pure; problems are returned, each with its position. */
export function parseManifests(
  file: string,
  text: string,
): { manifests: Manifest[]; problems: string[] } {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false, customTags });
  const at = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const manifests: Manifest[] = [];
  const problems: string[] = [];
  // An empty text gives an empty list with a mark, not an array.
  for (const document of Array.isArray(documents) ? documents : []) {
    for (const error of document.errors) problems.push(`${at(error.pos[0])}: ${error.message}`);
    if (document.errors.length > 0) continue;
    readDocument(document, file, at, manifests, problems);
  }
  return { manifests, problems };
}

/** 0644 is octal, as kubectl reads it: that is how modes of files are written. */
const OCTAL: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^0[0-7]+$/,
  resolve: (text) => Number.parseInt(text, 8),
};

function customTags(tags: Tags): Tags {
  return [OCTAL, ...tags];
}

function readDocument(
  document: Document.Parsed,
  file: string,
  at: (offset: number) => string,
  manifests: Manifest[],
  problems: string[],
): void {
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // Too many aliases: a document that would grow without bound.
    problems.push(`${at(document.range[0])}: ${error instanceof Error ? error.message : 'bad'}`);
    return;
  }
  // `---` with nothing after it, or only comments.
  if (value === null || value === undefined) return;
  if (!isObject(value)) {
    problems.push(
      `${at(document.contents?.range?.[0] ?? 0)}: an object with apiVersion and kind is expected`,
    );
    return;
  }
  const located = (prefix: readonly (string | number)[]) => (path: string) =>
    at(offsetOf(document, [...prefix, ...splitPath(path)]));
  if (value['kind'] !== 'List') {
    manifests.push({ file, object: value, locate: located([]) });
    return;
  }
  const items = Array.isArray(value['items']) ? value['items'] : [];
  items.forEach((item: unknown, index) => {
    if (isObject(item)) manifests.push({ file, object: item, locate: located(['items', index]) });
    else problems.push(`${located(['items', index])('')}: an object is expected`);
  });
}

/** `spec.containers[0].name` to its steps. Keys with dots stand in brackets: `labels[a.b/c]`. */
function splitPath(path: string): (string | number)[] {
  return [...path.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, bracketed, name]) => {
    if (bracketed === undefined) return name ?? '';
    return /^\d+$/.test(bracketed) ? Number(bracketed) : bracketed.replace(/^['"]|['"]$/g, '');
  });
}

function offsetOf(document: Document.Parsed, steps: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const step of steps) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) return offset;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      if (node === undefined) return offset;
      if (isMap(node) || isScalar(node) || isSeq(node)) offset = node.range?.[0] ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

async function readSources(path: string): Promise<{ file: string; text: string }[]> {
  if (path === '-') return [{ file: 'stdin', text: await readStdin() }];
  try {
    if (!(await stat(path)).isDirectory()) {
      return [{ file: path, text: await readFile(path, 'utf8') }];
    }
    const names = (await readdir(path)).filter((name) => /\.(ya?ml|json)$/.test(name)).toSorted();
    return await Promise.all(
      names.map(async (name) => ({
        file: join(path, name),
        text: await readFile(join(path, name), 'utf8'),
      })),
    );
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT') throw badInput(`${path}: no such file`);
    throw badInput(`${path}: ${error instanceof Error ? error.message : 'can not be read'}`);
  }
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString('utf8');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
