import { badRequest } from '../http/status.ts';

/** One condition on a field of an object. */
export interface FieldRequirement {
  /** Path of the field, as in `status.phase`. */
  readonly field: string;
  readonly equals: boolean;
  readonly value: string;
}

/**
 * Reads a field selector: `metadata.name=pi,status.phase!=Failed`. A backslash takes the meaning from
 * a comma, an equals sign or another backslash.
 *
 * @throws ApiError when it can't be read.
 */
export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitUnescaped(text)
    .filter((term) => term !== '')
    .map((term) => {
      const [, field = '', operator = '', value = ''] =
        /^((?:\\.|[^\\=!])*)(==|=|!=)(.*)$/s.exec(term) ?? [];
      if (operator === '') throw badRequest(invalidSelector(text, term));
      return { field: field.trim(), equals: operator !== '!=', value: unescapeValue(value, text) };
    });
}

function splitUnescaped(text: string): string[] {
  const terms: string[] = [''];
  for (const [piece] of text.matchAll(/\\.|[^]/g)) {
    if (piece === ',') terms.push('');
    else terms[terms.length - 1] += piece;
  }
  return terms;
}

function unescapeValue(text: string, selector: string): string {
  if (/(^|[^\\])(\\\\)*\\($|[^\\,=])/.test(text)) {
    throw badRequest(`invalid field selector: invalid escape sequence in ${selector}`);
  }
  return text.replace(/\\(.)/g, '$1');
}

function invalidSelector(text: string, term: string): string {
  return `invalid selector: '${text}'; can't understand '${term}'`;
}

/** The value that a field must have; null when no requirement says one. */
export function requiredValue(
  requirements: readonly FieldRequirement[],
  field: string,
): string | null {
  return requirements.find((r) => r.field === field && r.equals)?.value ?? null;
}
