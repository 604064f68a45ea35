/**
 * Makes packages/shared/src/explain/fieldTexts.ts, what `drover explain` says of a field, from the doc
 * comments of the schemas and interfaces in packages/shared/src: they are written once.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Something with fields: a schema or an interface. */
interface Declaration {
  readonly doc: string;
  /** Source between its braces. */
  readonly body: string;
}

/** A field as its source has it. */
interface SourceField {
  readonly doc: string;
  readonly name: string;
  /** The schema or the type. */
  readonly type: string;
}

/** A field of an object that Drover writes. */
interface WrittenField {
  readonly path: string;
  readonly type: string;
  readonly text: string;
}

const HEADER = `// Made by \`npm run docs\` from the doc comments in packages/shared/src: change those.

/** A field of an object that Drover writes. */
export interface WrittenField {
  /** Path from the kind on, with \`[*]\` for items of lists. */
  readonly path: string;
  /** As \`explain\` shows it: \`string\`, \`[]Object\`, ... */
  readonly type: string;
  readonly text: string;
}
`;

/** The text of the file. */
export function makeFieldTexts(root: string): string {
  const source = readSources(join(root, 'packages/shared/src'));
  const declarations = parseDeclarations(source);
  const texts = new Map<string, string>();
  collectTexts(declarations, 'Job', '', texts);
  const others = [
    'WorkQueue',
    'ConfigMap',
    'Secret',
    'ResourceQuota',
    'PriorityClass',
    'CronJob',
  ].map((kind) => {
    const ofKind = new Map<string, string>();
    collectTexts(declarations, kind, '', ofKind);
    // Those are the same for all kinds, and as those of a Job.
    const isShared = (path: string) => /^(metadata|spec\.jobTemplate)\./.test(path);
    return { kind, texts: [...ofKind].filter(([path]) => !isShared(path)) };
  });
  const written = [
    ...collectFields(declarations, 'PodStatus', 'pod.status'),
    ...collectFields(declarations, 'Node', 'node').filter(
      ({ path }) => path !== 'node.apiVersion' && path !== 'node.kind',
    ),
  ];
  const line = (value: unknown) => JSON.stringify(value);
  return [
    HEADER,
    '/** What every field of a Job means, by its path with `[*]` for items of lists. */',
    'export const JOB_FIELD_TEXTS: Readonly<Record<string, string>> = {',
    ...[...texts].map(([path, text]) => `  ${line(path)}: ${line(text)},`),
    '};',
    '',
    '/** What the fields of other kinds mean that a user writes. */',
    'export const KIND_FIELD_TEXTS = {',
    ...others.flatMap((other) => [
      `  ${other.kind}: {`,
      ...other.texts.map(([path, text]) => `    ${line(path)}: ${line(text)},`),
      '  },',
    ]),
    '} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;',
    '',
    '/** Fields of the status of pods, and of nodes. */',
    'export const WRITTEN_FIELDS: readonly WrittenField[] = [',
    ...written.map(
      ({ path, type, text }) =>
        `  { path: ${line(path)}, type: ${line(type)}, text: ${line(text)} },`,
    ),
    '];',
    '',
  ].join('\n');
}

function readSources(folder: string): string {
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));
  return files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
}

const DOC = String.raw`(\/\*\*(?:(?!\*\/)[^])*\*\/\n)?`;

function parseDeclarations(source: string): Map<string, Declaration> {
  const declarations = new Map<string, Declaration>();
  const schemas = new RegExp(
    String.raw`${DOC}(?:export )?const (\w+) = z\s*\.(?:strict|loose)Object\(\{`,
    'g',
  );
  const interfaces = new RegExp(String.raw`${DOC}export interface (\w+) \{`, 'g');
  for (const match of [...source.matchAll(interfaces), ...source.matchAll(schemas)]) {
    const [text, doc = '', name = ''] = match;
    const body = balanced(source, match.index + text.length - 1);
    // An interface that comes of a schema has another name.
    declarations.set(name, { doc: docText(doc), body });
  }
  // A schema that is another one with something done to what it reads.
  const derived = new RegExp(String.raw`${DOC}export const (\w+) = (\w+)\.transform\(`, 'g');
  for (const [, doc = '', name = '', from = ''] of source.matchAll(derived)) {
    const origin = declarations.get(from);
    if (origin !== undefined) declarations.set(name, { doc: docText(doc), body: origin.body });
  }
  return declarations;
}

/** The source within the bracket at `from`. */
function balanced(source: string, from: number): string {
  let at = from;
  let depth = 0;
  do {
    at = skipQuoted(source, at);
    const char = source[at];
    if (char === undefined) throw new Error(`unbalanced: ${source.slice(from, from + 80)}`);
    if ('({[<'.includes(char)) depth += 1;
    // Not the arrow of a function.
    else if (')}]'.includes(char) || (char === '>' && source[at - 1] !== '=')) depth -= 1;
    at += 1;
  } while (depth > 0);
  return source.slice(from + 1, at - 1);
}

/** Where a comment or a text in quotes that begins at `at` ends. */
function skipQuoted(source: string, at: number): number {
  const quoted = /^(?:\/\/.*|\/\*[^]*?\*\/|'(?:[^'\\]|\\.)*'|`[^`]*`)/.exec(source.slice(at));
  return quoted === null ? at : at + quoted[0].length - 1;
}

function parseFields(body: string): SourceField[] {
  const fields: SourceField[] = [];
  let at = 0;
  const begin = /^\s*(?:\/\/.*\s*)*(\/\*\*(?:(?!\*\/)[^])*\*\/)?\s*(?:readonly )?(\w+)\??: ?/;
  for (let match = begin.exec(body); match !== null; match = begin.exec(body.slice(at))) {
    const [text, doc = '', name = ''] = match;
    at += text.length;
    const from = at;
    while (at < body.length && !',;'.includes(body[at] ?? '')) {
      if ('({[<'.includes(body[at] ?? '')) at += balanced(body, at).length + 1;
      else at = skipQuoted(body, at);
      at += 1;
    }
    fields.push({ doc: docText(doc), name, type: body.slice(from, at).trim() });
    at += 1;
  }
  return fields;
}

/** What is within a field: of an object that is written there, or of the one that is named. */
function within(declarations: ReadonlyMap<string, Declaration>, type: string): Declaration | null {
  const inline = /(?:z\s*\.(?:strict|loose)Object\(|^|readonly )\{/.exec(type);
  if (inline !== null && !type.startsWith('Readonly<')) {
    return { doc: '', body: balanced(type, inline.index + inline[0].length - 1) };
  }
  for (const [name] of type.replace(/'[^']*'/g, '').matchAll(/\b[A-Z]\w+/g)) {
    const named = declarations.get(name);
    if (named !== undefined) return named;
  }
  return null;
}

function collectTexts(
  declarations: ReadonlyMap<string, Declaration>,
  name: string,
  path: string,
  texts: Map<string, string>,
): void {
  const root = declarations.get(name);
  if (root === undefined) throw new Error(`no schema ${name}`);
  const visit = ({ body }: Declaration, parent: string): void => {
    for (const field of parseFields(body)) {
      const here = parent === '' ? field.name : `${parent}.${field.name}`;
      const inner = within(declarations, field.type);
      texts.set(here, meaning(field, inner));
      if (inner !== null) visit(inner, /^z\s*\.array\(/.test(field.type) ? `${here}[*]` : here);
    }
  };
  visit(root, path);
}

function collectFields(
  declarations: ReadonlyMap<string, Declaration>,
  name: string,
  path: string,
): WrittenField[] {
  const fields: WrittenField[] = [];
  const visit = (declaration: Declaration, parent: string): void => {
    for (const field of parseFields(declaration.body)) {
      const here = `${parent}.${field.name}`;
      // The metadata of all kinds is explained once.
      const inner = field.type === 'ObjectMeta' ? null : within(declarations, field.type);
      const isList = field.type.endsWith('[]');
      const text = meaning(field, inner);
      fields.push({ path: here, type: typeText(field.type, inner !== null), text });
      if (inner !== null) visit(inner, isList ? `${here}[*]` : here);
    }
  };
  const root = declarations.get(name);
  if (root === undefined) throw new Error(`no interface ${name}`);
  visit(root, path);
  return fields;
}

function typeText(type: string, isObject: boolean): string {
  if (type.endsWith('[]')) return isObject ? '[]Object' : '[]string';
  if (isObject || type === 'ObjectMeta') return 'Object';
  if (type.includes('Record<string, string>')) return 'map[string]string';
  if (type === 'number') return 'integer';
  return type === 'boolean' ? 'boolean' : 'string';
}

/** The doc of a field; where that only points elsewhere, the doc of what is there. */
function meaning({ doc }: SourceField, inner: Declaration | null): string {
  // What is inert or refused is said, with the reason, by the table of fields.
  const text = doc.replace(/(?:^| )See [^.]*\.(?= |$)/g, '').replace(/^(?:Inert|Refused)\. ?/, '');
  return text.trim() === '' ? (inner?.doc ?? '') : text.trim();
}

/** A doc comment as one line of words. */
function docText(comment: string): string {
  const lines = comment
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trim());
  const text = lines.join(' ').replace(/\s+/g, ' ').trim();
  return text.replace(/\{@link (\w+)\}/g, '$1');
}
