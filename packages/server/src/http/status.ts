/** Errors as Kubernetes' clients know them: a Status object, whose message kubectl prints. */

import {
  AlreadyExistsError,
  ConflictError,
  ContainerNotFoundError,
  DroverError,
  ForbiddenError,
  InvalidSpecError,
  NotFoundError,
  formatIssue,
  type IssueKind,
  type ObjectReference,
  type ValidationIssue,
} from '@drover/shared';

/** What went wrong with one field. */
export interface StatusCause {
  /** A word such as `FieldValueInvalid`. */
  readonly reason: string;
  readonly message: string;
  /** Path of the field. */
  readonly field?: string;
}

/** More about a Status. */
export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** The resource, as in `jobs`; for an invalid object its kind, as in `Job`. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  /** When to try again. */
  readonly retryAfterSeconds?: number;
}

/** The answer to a request that has no object to show. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly resourceVersion?: string };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  /** A word that clients tell errors apart by. */
  readonly reason?: string;
  readonly details?: StatusDetails;
  /** HTTP status. */
  readonly code: number;
}

/** A request that can not be answered as it wants; becomes a Status. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

/** The request itself makes no sense. */
export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

/** There is nothing at this path. */
export function noSuchPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** What is asked for is not done here. */
export function methodNotAllowed(message: string): ApiError {
  return new ApiError(405, 'MethodNotAllowed', message, {});
}

/** Options of a request that are wrong, in the form of an invalid object. */
export function invalidOptions(kind: string, issues: readonly ValidationIssue[]): ApiError {
  return invalid(kind, 'meta.k8s.io', '', issues);
}

/** The resourceVersion that a list or watch is to begin from is not kept any more. */
export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

/** An object that is not valid, with all that is wrong with it. */
export function invalid(
  kind: string,
  group: string,
  name: string,
  issues: readonly ValidationIssue[],
): ApiError {
  const texts = [...new Set(issues.map(formatIssue))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const qualified = group === '' ? kind : `${kind}.${group}`;
  return new ApiError(422, 'Invalid', `${qualified} "${name}" is invalid: ${list}`, {
    name,
    group,
    kind,
    causes: issues.map(causeOf),
  });
}

const CAUSE_REASONS: Readonly<Record<IssueKind, string>> = {
  Required: 'FieldValueRequired',
  Invalid: 'FieldValueInvalid',
  NotSupported: 'FieldValueNotSupported',
  Forbidden: 'FieldValueForbidden',
  Duplicate: 'FieldValueDuplicate',
  NotFound: 'FieldValueNotFound',
  TooMany: 'FieldValueTooMany',
  TooLong: 'FieldValueTooLong',
  UnknownField: 'FieldValueInvalid',
};

function causeOf(issue: ValidationIssue): StatusCause {
  // The path has a field of its own.
  const message = formatIssue(issue).slice(issue.path.length + ': '.length);
  return { reason: CAUSE_REASONS[issue.kind], message, field: issue.path };
}

/** Turns whatever was thrown into the error that a client is told; null for a fault of ours. */
export function asApiError(error: unknown): ApiError | null {
  if (error instanceof ApiError) return error;
  if (!(error instanceof DroverError)) return null;
  if (error instanceof InvalidSpecError) return asInvalid(error);
  if (error instanceof ContainerNotFoundError) return badRequest(error.message);
  if (error instanceof NotFoundError) {
    const { text, details } = named(error.object);
    return new ApiError(404, 'NotFound', `${text} not found`, details);
  }
  if (error instanceof AlreadyExistsError) {
    const { text, details } = named(error.object);
    return new ApiError(409, 'AlreadyExists', `${text} already exists`, details);
  }
  if (error instanceof ConflictError) {
    const { text, details } = named(error.object);
    return new ApiError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${text}: the object has been modified; please apply your changes to the latest version and try again`,
      details,
    );
  }
  if (error instanceof ForbiddenError) {
    const { text, details } = named(error.object);
    return new ApiError(403, 'Forbidden', `${text} is forbidden: ${error.why}`, details);
  }
  switch (error.code) {
    case 'INVALID_SELECTOR':
      return badRequest(error.message);
    case 'SEALED':
      return new ApiError(409, 'Conflict', error.message);
    case 'CONNECTION':
    case 'RESOURCE_EXHAUSTED':
      return new ApiError(503, 'ServiceUnavailable', error.message);
    case 'SECRET_KEY':
      return new ApiError(500, 'InternalError', error.message);
    case 'TIMEOUT':
      return new ApiError(504, 'Timeout', error.message);
    default:
      return null;
  }
}

/** `Job.batch "pi" is invalid: ...`, whose first word is the kind with its group. */
function asInvalid(error: InvalidSpecError): ApiError {
  const [, qualified = '', name = ''] = /^(\S+) "([^"]*)" is invalid/.exec(error.message) ?? [];
  const [kind = '', ...group] = qualified.split('.');
  return invalid(kind, group.join('.'), name, error.issues);
}

/** An object as errors name it: without its namespace, as Kubernetes does. */
function named({ resource, name }: ObjectReference): { text: string; details: StatusDetails } {
  const [kind = '', ...group] = resource.split('.');
  return {
    text: `${resource} "${name}"`,
    details: group.length === 0 ? { name, kind } : { name, group: group.join('.'), kind },
  };
}

/** The Status of an error. */
export function statusOf({ code, reason, message, details }: ApiError): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  };
}

/** The Status of something that was done, as a deletion is answered. */
export function success(details: StatusDetails): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 };
}
