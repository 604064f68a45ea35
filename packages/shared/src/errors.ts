import { formatIssue, type ValidationIssue } from './issues.ts';

/** Options of every error of Drover. */
export interface DroverErrorOptions {
  /** What made it happen, kept for logs. */
  readonly cause?: unknown;
}

/** Stable strings to tell errors apart by; messages are for people and may change. */
export type DroverErrorCode =
  | 'INVALID_SPEC'
  | 'INVALID_SELECTOR'
  | 'CONFLICT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'CONNECTION'
  | 'TIMEOUT'
  | 'RESOURCE_EXHAUSTED'
  | 'FORBIDDEN'
  | 'SEALED'
  | 'UNSUITABLE_HOST'
  | 'SECRET_KEY'
  | 'TERMINAL';

/** Base of every error that Drover throws on purpose. */
export class DroverError extends Error {
  /** Stable, unlike the message. */
  readonly code: DroverErrorCode;

  constructor(code: DroverErrorCode, message: string, options: DroverErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.name = new.target.name;
  }
}

/** An object that a user gave is not valid. Has every problem that was found, not only the first. */
export class InvalidSpecError extends DroverError {
  /** What is wrong, in the order in which it was found; never empty. */
  readonly issues: readonly ValidationIssue[];

  /**
   * @param kind - The kind with its group, as in `Job.batch`.
   * @param name - The object's name; its generateName or `<unnamed>` when it has none.
   */
  constructor(
    kind: string,
    name: string,
    issues: readonly ValidationIssue[],
    options: DroverErrorOptions = {},
  ) {
    const texts = [...new Set(issues.map(formatIssue))];
    const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
    super('INVALID_SPEC', `${kind} "${name}" is invalid: ${list}`, options);
    this.issues = issues;
  }
}

/** A label selector that can't be read. */
export class InvalidSelectorError extends DroverError {
  constructor(message: string, options: DroverErrorOptions = {}) {
    super('INVALID_SELECTOR', message, options);
  }
}

/** Names an object in an error. */
export interface ObjectReference {
  /** Resource with its group, lower case, as in `jobs.batch` or `pods`. */
  readonly resource: string;
  /** Name of the object. */
  readonly name: string;
  /** Its namespace, where it has one. */
  readonly namespace?: string;
}

function describeObject({ resource, name, namespace }: ObjectReference): string {
  const where = namespace === undefined ? '' : ` in namespace "${namespace}"`;
  return `${resource} "${name}"${where}`;
}

/** The object changed since it was read. Read it again, apply the change again, write again. */
export class ConflictError extends DroverError {
  /** What it was about. */
  readonly object: ObjectReference;

  constructor(object: ObjectReference, options: DroverErrorOptions = {}) {
    const hint = 'the object has been modified; please apply your changes to the latest version';
    const what = `Operation cannot be fulfilled on ${describeObject(object)}`;
    super('CONFLICT', `${what}: ${hint} and try again`, options);
    this.object = object;
  }
}

/** There is no such object. */
export class NotFoundError extends DroverError {
  /** What was looked for. */
  readonly object: ObjectReference;

  constructor(object: ObjectReference, options: DroverErrorOptions = {}) {
    super('NOT_FOUND', `${describeObject(object)} not found`, options);
    this.object = object;
  }
}

/** A pod has no such container, or the container no such run. The message says which there are. */
export class ContainerNotFoundError extends NotFoundError {
  constructor(object: ObjectReference, message: string, options: DroverErrorOptions = {}) {
    super(object, options);
    this.message = message;
  }
}

/** Another object has the name. Choose another name, use generateName, or delete the old one. */
export class AlreadyExistsError extends DroverError {
  /** What exists. */
  readonly object: ObjectReference;

  constructor(object: ObjectReference, options: DroverErrorOptions = {}) {
    super('ALREADY_EXISTS', `${describeObject(object)} already exists`, options);
    this.object = object;
  }
}

/** Redis can't be reached, or refused the login. The message says which address and what to do. */
export class ConnectionError extends DroverError {
  constructor(message: string, options: DroverErrorOptions = {}) {
    super('CONNECTION', message, options);
  }
}

/** Something did not happen within the time that the caller gave. */
export class TimeoutError extends DroverError {
  constructor(message: string, options: DroverErrorOptions = {}) {
    super('TIMEOUT', message, options);
  }
}

/** The object may not be, as things are: a quota does not allow it. The message says which, and by how much. */
export class ForbiddenError extends DroverError {
  /** What was to be made. */
  readonly object: ObjectReference;
  /** Why not. */
  readonly why: string;

  constructor(object: ObjectReference, why: string, options: DroverErrorOptions = {}) {
    super('FORBIDDEN', `${object.resource} "${object.name}" is forbidden: ${why}`, options);
    this.object = object;
    this.why = why;
  }
}

/** Redis has no room left, in memory or on its disk, for new objects: make some and try again. */
export class ResourceExhaustedError extends DroverError {
  constructor(message: string, options: DroverErrorOptions = {}) {
    super('RESOURCE_EXHAUSTED', message, options);
  }
}

/** Drover does not run on this machine: Windows, or a Node that is too old. */
export class UnsuitableHostError extends DroverError {
  constructor(message: string, options: DroverErrorOptions = {}) {
    super('UNSUITABLE_HOST', message, options);
  }
}

/** The data of a Secret can't be encrypted or decrypted: there is no key, or another one. */
export class SecretKeyError extends DroverError {
  constructor(message: string, options: DroverErrorOptions = {}) {
    super('SECRET_KEY', message, options);
  }
}

/** Trying again can't help: data that can't be read, a key layout of another version. */
export class TerminalError extends DroverError {
  constructor(message: string, options: DroverErrorOptions = {}) {
    super('TERMINAL', message, options);
  }
}
