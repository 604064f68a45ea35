/** Reads the header of a Lua script: the contract that its wrapper is held to. */
import { readFileSync } from 'node:fs';

/** A declared key. */
export interface DeclaredKey {
  readonly type: string;
  /** As in the header: `<tag>:job:<uid>:hot`. */
  readonly pattern: string;
}

/** What a header says. */
export interface Contract {
  /** Flags of the `#!lua` line, such as `allow-oom`; '' = none. */
  readonly flags: string;
  /** Name on the first line of the header. */
  readonly name: string;
  readonly caller: string;
  /** Keys with a fixed number, in order from 1. */
  readonly keys: readonly DeclaredKey[];
  /** Keys that come as often as the arguments ask for; in the order of one round. */
  readonly repeatedKeys: readonly DeclaredKey[];
  /** Arguments with a fixed number. */
  readonly argumentCount: number;
  /** Whether more arguments may follow. */
  readonly hasMoreArguments: boolean;
  /** Names of the replies by their code. */
  readonly codes: ReadonlyMap<number, string>;
  /** The code after the header, with the shared blocks still by name. */
  readonly body: string;
}

/** Reads the contract of a script file as it is written. */
export function readContract(name: string): Contract {
  const text = readFileSync(new URL(`../../lua/${name}.lua`, import.meta.url), 'utf8');
  const parts = /^#!lua(?: flags=(\S+))?\n--\[\[\n([\s\S]*?)\n\]\]\n([\s\S]*)$/.exec(text);
  if (parts === null) throw new Error(`${name}.lua does not begin with a header`);
  const [, flags = '', header = '', body = ''] = parts;
  const keys: DeclaredKey[] = [];
  const repeatedKeys: DeclaredKey[] = [];
  for (const [, number = '', type = '', pattern = ''] of header.matchAll(
    /^ {2}KEYS\[([\d+]+)\]\s+(\S+)\s+(\S+)/gm,
  )) {
    if (number.includes('+')) repeatedKeys.push({ type, pattern });
    else if (Number(number) !== keys.push({ type, pattern }))
      throw new Error(`${name}: KEYS[${number}]`);
  }
  const numbers = [...header.matchAll(/^ {2}ARGV\[([\d+]+)\]/gm)].map((match) => match[1]!);
  const fixed = numbers.filter((number) => !number.includes('+'));
  if (fixed.some((number, i) => Number(number) !== i + 1))
    throw new Error(`${name}: ARGV ${fixed.join(' ')}`);
  return {
    flags,
    name: /^ {2}(\w+): /.exec(header)?.[1] ?? '',
    caller: /^ {2}Caller {3}(.+)$/m.exec(header)?.[1] ?? '',
    keys,
    repeatedKeys,
    argumentCount: fixed.length,
    hasMoreArguments: fixed.length < numbers.length,
    codes: readCodes(header),
    body,
  };
}

/** Codes stand alone, as the first of a list `{-1, untilMs}`, or in a line `answers: 1 NEXT, 2 RELEASED`. */
function readCodes(header: string): ReadonlyMap<number, string> {
  const codes = new Map<number, string>();
  const returns = /^ {2}Returns[\s\S]*?(?=\n\n|$(?![\s\S]))/m.exec(header)?.[0] ?? '';
  for (const line of returns.split('\n')) {
    const match = /^\s+(?:Returns\s+)?\{? ?(-?\d+)(?:,.*\}|\})?\s+([A-Z][A-Z_]+)\b/.exec(line);
    if (match !== null) codes.set(Number(match[1]), match[2]!);
    if (!line.includes('answers:')) continue;
    for (const [, code, name] of line.matchAll(/(\d+) ([A-Z_]+)/g)) codes.set(Number(code), name!);
  }
  return codes;
}

/** A key pattern as a regular expression. */
export function keyPattern(pattern: string, tag: string): RegExp {
  // Pods' logs have tags of their own, each with the prefix of the installation.
  const prefix = /^\{(\w+):/.exec(tag)?.[1] ?? '';
  const source = pattern
    .replace(/^\{P:/, `{${prefix}:`)
    .split(/(<\w+>)/)
    .map((part) => {
      if (part === '<tag>') return escape(tag);
      if (part === '<chunk>') return '\\d+';
      return /^<\w+>$/.test(part) ? '[A-Za-z0-9-]+' : escape(part);
    })
    .join('');
  return new RegExp(`^${source}$`);
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** `ALREADY_EXISTS` as `alreadyExists`. */
export function camelCase(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
