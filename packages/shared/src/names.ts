/**
 * The rules for names, labels and the like. Each check returns what is wrong in Kubernetes' words,
 * or an empty list.
 *
 * @see apimachinery, pkg/util/validation
 */

const DNS_LABEL_PATTERN = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const DNS_SUBDOMAIN_PATTERN = `${DNS_LABEL_PATTERN}(\\.${DNS_LABEL_PATTERN})*`;
const QUALIFIED_NAME_PATTERN = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_VALUE_PATTERN = `(${QUALIFIED_NAME_PATTERN})?`;
const CONFIG_KEY_PATTERN = '[-._a-zA-Z0-9]+';
const HTTP_PATH_PATTERN = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const HANDLER_NAME_PATTERN = '[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?';

const DNS_LABEL = new RegExp(`^${DNS_LABEL_PATTERN}$`);
const DNS_SUBDOMAIN = new RegExp(`^${DNS_SUBDOMAIN_PATTERN}$`);
const QUALIFIED_NAME = new RegExp(`^${QUALIFIED_NAME_PATTERN}$`);
const LABEL_VALUE = new RegExp(`^${LABEL_VALUE_PATTERN}$`);
const CONFIG_KEY = new RegExp(`^${CONFIG_KEY_PATTERN}$`);
const HTTP_PATH = new RegExp(`^${HTTP_PATH_PATTERN}$`);
const HANDLER_NAME = new RegExp(`^${HANDLER_NAME_PATTERN}$`);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Longest DNS-1123 label, label value and name part of a label key. */
export const MAX_LABEL_CHARS = 63;
const MAX_SUBDOMAIN_CHARS = 253;
const MAX_HANDLER_NAME_CHARS = 128;
/** Annotations of one object together, keys and values. */
export const MAX_ANNOTATIONS_BYTES = 256 * 1024;

function tooLongFor(chars: number): string {
  return `must be no more than ${chars} bytes`;
}

function mustMatch(rule: string, examples: readonly string[], pattern: string): string {
  const shown = examples.map((example) => `'${example}', `).join(' or ');
  return `${rule} (e.g. ${shown}regex used for validation is '${pattern}')`;
}

/** Checks a DNS-1123 label, such as a container's name: lower case, no dots, at most 63. */
export function dnsLabelProblems(value: string): string[] {
  const problems = value.length > MAX_LABEL_CHARS ? [tooLongFor(MAX_LABEL_CHARS)] : [];
  if (DNS_LABEL.test(value)) return problems;
  if (DNS_SUBDOMAIN.test(value)) return [...problems, 'must not contain dots'];
  const rule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
    'and must start and end with an alphanumeric character';
  return [...problems, mustMatch(rule, ['my-name', '123-abc'], DNS_LABEL_PATTERN)];
}

/** Checks a DNS-1123 subdomain, such as a Job's name: labels with dots between, at most 253. */
export function dnsSubdomainProblems(value: string): string[] {
  const problems = value.length > MAX_SUBDOMAIN_CHARS ? [tooLongFor(MAX_SUBDOMAIN_CHARS)] : [];
  if (DNS_SUBDOMAIN.test(value)) return problems;
  const rule =
    'a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, ' +
    "'-' or '.', and must start and end with an alphanumeric character";
  return [...problems, mustMatch(rule, ['example.com'], DNS_SUBDOMAIN_PATTERN)];
}

/** Checks a generateName: what a name may begin with, so a `-` at its end is fine. */
export function generateNameProblems(value: string): string[] {
  return dnsSubdomainProblems(value.endsWith('-') ? `${value.slice(0, -1)}a` : value);
}

/** Checks a qualified name, such as a label key: `name` or `example.com/name`. */
export function qualifiedNameProblems(value: string): string[] {
  const parts = value.split('/');
  const rule =
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', " +
    'and must start and end with an alphanumeric character';
  const examples = ['MyName', 'my.name', '123-abc'];
  const shape = mustMatch(rule, examples, QUALIFIED_NAME_PATTERN);
  if (parts.length > 2) {
    return [`${shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }

  const problems: string[] = [];
  const name = parts.at(-1) ?? '';
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') problems.push('prefix part must be non-empty');
    else problems.push(...dnsSubdomainProblems(prefix).map((text) => `prefix part ${text}`));
  }
  if (name === '') problems.push('name part must be non-empty');
  else if (name.length > MAX_LABEL_CHARS) problems.push(`name part ${tooLongFor(MAX_LABEL_CHARS)}`);
  if (!QUALIFIED_NAME.test(name)) problems.push(`name part ${shape}`);
  return problems;
}

/** Checks the value of a label: may be empty, at most 63. */
export function labelValueProblems(value: string): string[] {
  const problems = value.length > MAX_LABEL_CHARS ? [tooLongFor(MAX_LABEL_CHARS)] : [];
  if (LABEL_VALUE.test(value)) return problems;
  const rule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or " +
    "'.', and must start and end with an alphanumeric character";
  const examples = ['MyValue', 'my_value', '12345'];
  return [...problems, mustMatch(rule, examples, LABEL_VALUE_PATTERN)];
}

/** Checks a key of a ConfigMap or Secret, which may become the name of a file. */
export function configKeyProblems(value: string): string[] {
  const problems = value.length > MAX_SUBDOMAIN_CHARS ? [tooLongFor(MAX_SUBDOMAIN_CHARS)] : [];
  if (!CONFIG_KEY.test(value)) {
    const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    const examples = ['key.name', 'KEY_NAME', 'key-name'];
    problems.push(mustMatch(rule, examples, CONFIG_KEY_PATTERN));
  } else if (value === '.') problems.push("must not be '.'");
  else if (value === '..') problems.push("must not be '..'");
  else if (value.startsWith('..')) problems.push("must not start with '..'");
  return problems;
}

/** Checks the name of an environment variable: printable ASCII without `=`, as since 1.30. */
export function envNameProblems(value: string): string[] {
  if (/^[ -<>-~]*$/.test(value)) return [];
  const rule = 'must consist only of printable ASCII characters other than';
  return [`a valid environment variable name ${rule} '='`];
}

/** Checks a path with a domain before it: `acme.io/foo`. */
export function domainPrefixedPathProblems(value: string): string[] {
  const slash = value.indexOf('/');
  if (slash <= 0 || slash === value.length - 1) {
    return ['must be a domain-prefixed path (such as "acme.io/foo")'];
  }
  const problems = dnsSubdomainProblems(value.slice(0, slash));
  if (!HTTP_PATH.test(value.slice(slash + 1))) {
    problems.push(`Invalid path (regex used for validation is '${HTTP_PATH_PATTERN}')`);
  }
  return problems;
}

/**
 * Checks the name under which a handler is registered, which a container gives as its `image`.
 * Without a tag or digest: there is one handler of a name.
 */
export function handlerNameProblems(value: string): string[] {
  const problems: string[] = [];
  if (value.length > MAX_HANDLER_NAME_CHARS) problems.push(tooLongFor(MAX_HANDLER_NAME_CHARS));
  if (/[:@]/.test(value)) {
    problems.push("must not have a tag or digest: it is the handler's name, of which there is one");
  } else if (!HANDLER_NAME.test(value)) {
    const rule =
      "a handler's name must consist of alphanumeric characters, '-', '_', '.' or '/', " +
      'and must start and end with an alphanumeric character';
    problems.push(mustMatch(rule, ['resize', 'media/resize.v2'], HANDLER_NAME_PATTERN));
  }
  return problems;
}

/** Checks a uid: pods' uids are made from its digits, so it must be a lower-case UUID. */
export function uidProblems(value: string): string[] {
  return UUID.test(value) ? [] : ['must be a UUID in lower case'];
}
