/**
 * Label selectors, in both of Kubernetes' forms: the text of `kubectl get -l`, and the
 * LabelSelector object of a spec.
 */

import * as z from 'zod';

import { InvalidSelectorError } from './errors.ts';
import { invalidEach, required, forbidden, type ValidationIssue } from './issues.ts';
import { labelValueProblems, qualifiedNameProblems } from './names.ts';

/** Labels of an object. */
export type Labels = Readonly<Record<string, string>>;

/** How a requirement compares. The last two exist in the text form only. */
export type SelectorOperator =
  | 'In'
  | 'NotIn'
  | 'Exists'
  | 'DoesNotExist'
  | 'GreaterThan'
  | 'LessThan';

/** One condition on the labels of an object. */
export interface SelectorRequirement {
  /** Label key. */
  readonly key: string;
  /** How the value of the label compares. */
  readonly operator: SelectorOperator;
  /** At least one for In and NotIn, one integer for GreaterThan and LessThan, else none. */
  readonly values: readonly string[];
}

/** Requirements that must all hold. An empty one matches everything. */
export type Selector = readonly SelectorRequirement[];

/** One condition of a LabelSelector object. */
export const LabelSelectorRequirement = z.strictObject({
  /** Label key. */
  key: z.string(),
  /** In, NotIn, Exists or DoesNotExist. */
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
  /** At least one for In and NotIn, none otherwise. */
  values: z.array(z.string()).optional(),
});
/** One condition of a LabelSelector object. */
export type LabelSelectorRequirement = z.output<typeof LabelSelectorRequirement>;

/** The selector of a spec. All its parts must hold; an empty one matches everything. */
export const LabelSelector = z.strictObject({
  /** Labels that must have exactly these values. */
  matchLabels: z.record(z.string(), z.string()).optional(),
  /** Further conditions. */
  matchExpressions: z.array(LabelSelectorRequirement).optional(),
});
/** The selector of a spec. All its parts must hold; an empty one matches everything. */
export type LabelSelector = z.output<typeof LabelSelector>;

/** Turns a LabelSelector object into requirements. */
export function selectorFromObject(selector: LabelSelector): Selector {
  const requirements: SelectorRequirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    requirements.push({ key, operator: 'In', values: [value] });
  }
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    requirements.push({ key, operator, values });
  }
  return requirements;
}

/** Whether an object with these labels is selected. */
export function matchesSelector(selector: Selector, labels: Labels = {}): boolean {
  return selector.every((requirement) => matchesRequirement(requirement, labels));
}

function matchesRequirement({ key, operator, values }: SelectorRequirement, labels: Labels) {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    // As in Kubernetes: an object without the label is not in any list.
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'GreaterThan':
      return value !== undefined && isInteger(value) && BigInt(value) > BigInt(values[0] ?? '');
    case 'LessThan':
      return value !== undefined && isInteger(value) && BigInt(value) < BigInt(values[0] ?? '');
  }
}

function isInteger(value: string): boolean {
  return /^-?\d+$/.test(value);
}

/** Writes a selector as `kubectl get` shows it: `a=b,c in (d,e),!f`; `''` when it is empty. */
export function formatSelector(selector: Selector): string {
  return selector.map(formatRequirement).join(',');
}

function formatRequirement({ key, operator, values }: SelectorRequirement): string {
  const list = values.toSorted().join(',');
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${list}` : `${key} in (${list})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${list}` : `${key} notin (${list})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'GreaterThan':
      return `${key}>${list}`;
    case 'LessThan':
      return `${key}<${list}`;
  }
}

/**
 * Reads a selector's text: `a=b`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, `a`, `!a`, `a>1`,
 * `a<1`, joined by commas. An empty text selects everything.
 *
 * @throws {@link InvalidSelectorError} that says what was expected and where.
 */
export function parseSelector(text: string): Selector {
  return new SelectorParser(text).parse();
}

const OPERATORS = ['==', '!=', '=', '>', '<'] as const;

/** Recursive descent over the text; each method leaves `at` behind what it read. */
class SelectorParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Selector {
    if (this.#text.trim() === '') return [];
    const requirements = [this.#requirement()];
    while (!this.#isAtEnd()) {
      if (!this.#take(',')) this.#fail('"," or the end');
      requirements.push(this.#requirement());
    }
    return requirements;
  }

  #requirement(): SelectorRequirement {
    if (this.#take('!')) return { key: this.#key(), operator: 'DoesNotExist', values: [] };
    const key = this.#key();
    const symbol = OPERATORS.find((candidate) => this.#take(candidate));
    switch (symbol) {
      case '=':
      case '==':
        return { key, operator: 'In', values: [this.#value()] };
      case '!=':
        return { key, operator: 'NotIn', values: [this.#value()] };
      case '>':
        return { key, operator: 'GreaterThan', values: [this.#integer()] };
      case '<':
        return { key, operator: 'LessThan', values: [this.#integer()] };
      case undefined:
        break;
    }
    if (this.#takeWord('in')) return { key, operator: 'In', values: this.#list() };
    if (this.#takeWord('notin')) return { key, operator: 'NotIn', values: this.#list() };
    if (!this.#isAtEnd() && this.#peek() !== ',') this.#fail('an operator, "," or the end');
    return { key, operator: 'Exists', values: [] };
  }

  #list(): string[] {
    if (!this.#take('(')) this.#fail('"("');
    const values = [this.#value()];
    while (!this.#take(')')) {
      if (!this.#take(',')) this.#fail('"," or ")"');
      values.push(this.#value());
    }
    return values;
  }

  #key(): string {
    const key = this.#token();
    if (key === '') this.#fail('a label key');
    const [problem] = qualifiedNameProblems(key);
    if (problem !== undefined) this.#reject(`key "${key}": ${problem}`);
    return key;
  }

  #value(): string {
    const value = this.#token();
    const [problem] = labelValueProblems(value);
    if (problem !== undefined) this.#reject(`value "${value}": ${problem}`);
    return value;
  }

  #integer(): string {
    const value = this.#token();
    if (isInteger(value)) return value;
    return this.#reject(`"${value}": an integer must follow ">" and "<"`);
  }

  /** The longest text without blanks and signs; may be empty. */
  #token(): string {
    this.#skipBlanks();
    const [token = ''] = /^[^\s=!<>(),]*/.exec(this.#text.slice(this.#at)) ?? [];
    this.#at += token.length;
    return token;
  }

  #take(sign: string): boolean {
    this.#skipBlanks();
    if (!this.#text.startsWith(sign, this.#at)) return false;
    this.#at += sign.length;
    return true;
  }

  #takeWord(word: string): boolean {
    const before = this.#at;
    if (this.#token() === word) return true;
    this.#at = before;
    return false;
  }

  #peek(): string {
    this.#skipBlanks();
    return this.#text.charAt(this.#at);
  }

  #isAtEnd(): boolean {
    return this.#peek() === '';
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#text.charAt(this.#at))) this.#at++;
  }

  #fail(expected: string): never {
    const found = this.#isAtEnd() ? 'it ends' : `found "${this.#peek()}"`;
    this.#reject(`expected ${expected} at character ${this.#at + 1}, but ${found}`);
  }

  #reject(reason: string): never {
    throw new InvalidSelectorError(`unable to parse label selector "${this.#text}": ${reason}`);
  }
}

/** What is wrong with a LabelSelector object of a spec. */
export function labelSelectorIssues(selector: LabelSelector, path: string): ValidationIssue[] {
  const issues = labelsIssues(selector.matchLabels, `${path}.matchLabels`);
  for (const [at, expression] of (selector.matchExpressions ?? []).entries()) {
    const here = `${path}.matchExpressions[${at}]`;
    const { key, operator, values = [] } = expression;
    issues.push(...invalidEach(`${here}.key`, key, qualifiedNameProblems(key)));
    const takesValues = operator === 'In' || operator === 'NotIn';
    if (takesValues && values.length === 0) {
      const detail = 'must be specified when `operator` is "In" or "NotIn"';
      issues.push(required(`${here}.values`, detail));
    } else if (!takesValues && values.length > 0) {
      const detail = 'may not be specified when `operator` is "Exists" or "DoesNotExist"';
      issues.push(forbidden(`${here}.values`, detail));
    }
    for (const [index, value] of values.entries()) {
      issues.push(...invalidEach(`${here}.values[${index}]`, value, labelValueProblems(value)));
    }
  }
  return issues;
}

/** What is wrong with a map of labels. Like Kubernetes it names the map, not the key in it. */
export function labelsIssues(labels: Labels | undefined, path: string): ValidationIssue[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...invalidEach(path, key, qualifiedNameProblems(key)),
    ...invalidEach(path, value, labelValueProblems(value)),
  ]);
}
