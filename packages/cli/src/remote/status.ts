import {
  AlreadyExistsError,
  ConflictError,
  ForbiddenError,
  InvalidSpecError,
  NotFoundError,
  ResourceExhaustedError,
  type IssueKind,
  type ObjectReference,
  type ValidationIssue,
} from '@drover/shared';

import { badInput, CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';

/** What an API server answers when it does not do what it was asked for. */
export interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly name?: string;
    readonly group?: string;
    readonly kind?: string;
    readonly causes?: readonly {
      readonly reason?: string;
      readonly message?: string;
      readonly field?: string;
    }[];
  };
}

/** The server could not do what was asked for as things are; `code` is that of HTTP. */
export class ServerRefusal extends CliError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message, status === 400 ? EXIT.badInput : EXIT.failed);
    this.status = status;
  }
}

/** What an answer means, as the error that the SDK has for it. */
export function errorOf(code: number, status: Status, namespace: string): Error {
  const { message = `the API server answers with ${code}`, reason, details = {} } = status;
  const object = referenceOf(details, namespace);
  switch (reason) {
    case 'NotFound':
      return object === null ? new ServerRefusal(code, message) : new NotFoundError(object);
    case 'AlreadyExists':
      return object === null ? badInput(message) : new AlreadyExistsError(object);
    case 'Conflict':
      return object === null ? new ServerRefusal(code, message) : new ConflictError(object);
    case 'Forbidden': {
      const why = message.replace(/^.*? is forbidden: /, '');
      return object === null ? new ServerRefusal(code, message) : new ForbiddenError(object, why);
    }
    case 'Invalid':
      return invalidOf(status) ?? new ServerRefusal(code, message);
    case 'Unauthorized':
      return new CliError('the API server does not know the token', EXIT.noConnection);
    case 'TooManyRequests':
      return new ResourceExhaustedError(message);
    default:
      return new ServerRefusal(code, message);
  }
}

function referenceOf(
  { name = '', group = '', kind = '' }: NonNullable<Status['details']>,
  namespace: string,
): ObjectReference | null {
  if (name === '' || kind === '') return null;
  const resource = group === '' ? kind : `${kind}.${group}`;
  return { resource, name, ...(namespace !== '' && kind !== 'namespaces' && { namespace }) };
}

/** What Kubernetes' causes call the kinds of problems, and how the message of each begins. */
const KINDS: Readonly<Record<string, readonly [IssueKind, string]>> = {
  FieldValueRequired: ['Required', 'Required value'],
  FieldValueInvalid: ['Invalid', 'Invalid value'],
  FieldValueNotSupported: ['NotSupported', 'Unsupported value'],
  FieldValueForbidden: ['Forbidden', 'Forbidden'],
  FieldValueDuplicate: ['Duplicate', 'Duplicate value'],
  FieldValueNotFound: ['NotFound', 'Not found'],
  FieldValueTooMany: ['TooMany', 'Too many'],
  FieldValueTooLong: ['TooLong', 'Too long'],
};

function invalidOf({ details = {} }: Status): InvalidSpecError | null {
  const { causes = [], kind = '', group = '', name = '' } = details;
  if (causes.length === 0) return null;
  const issues = causes.map(({ reason = '', message = '', field = '' }): ValidationIssue => {
    const [issueKind, begin] = KINDS[reason] ?? ['Invalid', 'Invalid value'];
    // The value is in the text already.
    const detail = message.startsWith(begin)
      ? message.slice(begin.length).replace(/^: /, '')
      : message;
    return { path: field, kind: issueKind, detail };
  });
  return new InvalidSpecError(group === '' ? kind : `${kind}.${group}`, name, issues);
}
