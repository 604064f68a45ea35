/**
 * What is wrong with a field, in the words of Kubernetes' field errors. `UnknownField` is ours:
 * Kubernetes reports an unknown field as a decoding error, without a kind.
 */
export type IssueKind =
  | 'Required'
  | 'Invalid'
  | 'NotSupported'
  | 'Forbidden'
  | 'Duplicate'
  | 'NotFound'
  | 'TooMany'
  | 'TooLong'
  | 'UnknownField';

/** One problem with one field of an object that a user gave. */
export interface ValidationIssue {
  /** Where: dotted, list items and map keys in brackets, as `spec.template.spec.containers[0].name`. */
  readonly path: string;
  /** What kind of problem. */
  readonly kind: IssueKind;
  /** The offending value; left out where it would not help (Required, Forbidden, TooLong). */
  readonly value?: unknown;
  /** What would be right; may be empty. */
  readonly detail: string;
}

const KIND_TEXTS: Record<IssueKind, string> = {
  Required: 'Required value',
  Invalid: 'Invalid value',
  NotSupported: 'Unsupported value',
  Forbidden: 'Forbidden',
  Duplicate: 'Duplicate value',
  NotFound: 'Not found',
  TooMany: 'Too many',
  TooLong: 'Too long',
  UnknownField: 'Unknown field',
};

/** Longer values are cut in messages: a message is for people. */
const MAX_VALUE_CHARS = 200;

/** Writes an issue as Kubernetes does: `spec.parallelism: Invalid value: -1: must be ...`. */
export function formatIssue(issue: ValidationIssue): string {
  let text = `${issue.path}: ${KIND_TEXTS[issue.kind]}`;
  if (issue.value !== undefined) text += `: ${formatValue(issue.value)}`;
  if (issue.detail !== '') text += `: ${issue.detail}`;
  return text;
}

function formatValue(value: unknown): string {
  const text = toJson(value);
  return text.length <= MAX_VALUE_CHARS ? text : `${text.slice(0, MAX_VALUE_CHARS)}...`;
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // A BigInt or a cycle: still an invalid value, so its message must not fail.
    return String(value);
  }
}

/** A field that must be there is not. */
export function required(path: string, detail = ''): ValidationIssue {
  return { path, kind: 'Required', detail };
}

/** A value that breaks a rule. Pass `undefined` as the value to leave it out of the message. */
export function invalid(path: string, value: unknown, detail: string): ValidationIssue {
  return value === undefined
    ? { path, kind: 'Invalid', detail }
    : { path, kind: 'Invalid', value, detail };
}

/** A value outside a closed list. */
export function notSupported(
  path: string,
  value: unknown,
  supported: readonly string[],
): ValidationIssue {
  const detail = `supported values: ${quoteAll(supported)}`;
  return { path, kind: 'NotSupported', value, detail };
}

/** A field that may not be set here, or not yet. */
export function forbidden(path: string, detail: string): ValidationIssue {
  return { path, kind: 'Forbidden', detail };
}

/** A value that may occur only once. */
export function duplicate(path: string, value: unknown): ValidationIssue {
  return { path, kind: 'Duplicate', value, detail: '' };
}

/** A name of something that is not there. */
export function notFound(path: string, value: unknown): ValidationIssue {
  return { path, kind: 'NotFound', value, detail: '' };
}

/** A list with too many items. */
export function tooMany(path: string, count: number, max: number): ValidationIssue {
  return { path, kind: 'TooMany', value: count, detail: `must have at most ${max} items` };
}

/** A text that is too long. */
export function tooLong(path: string, maxBytes: number): ValidationIssue {
  return { path, kind: 'TooLong', detail: `may not be more than ${maxBytes} bytes` };
}

/** Every problem that a check of one value found, as one Invalid issue each. */
export function invalidEach(
  path: string,
  value: unknown,
  problems: readonly string[],
): ValidationIssue[] {
  return problems.map((problem) => invalid(path, value, problem));
}

/** The rule of all counts and durations of the API. */
export function nonNegative(path: string, value: number | undefined): ValidationIssue[] {
  if (value === undefined || value >= 0) return [];
  return [invalid(path, value, 'must be greater than or equal to 0')];
}

/** `"A", "B"`: how Kubernetes lists choices. */
export function quoteAll(values: readonly string[]): string {
  return values.map((value) => `"${value}"`).join(', ');
}

/** A number that must lie between two bounds, both included. */
export function inRange(path: string, value: number, min: number, max: number): ValidationIssue[] {
  if (value >= min && value <= max) return [];
  return [invalid(path, value, `must be between ${min} and ${max}, inclusive`)];
}
