import { isUtf8 } from 'node:buffer';

import { MAX_ITEM_RESULT_BYTES } from '@drover/shared';

import { checkProgress, type Progress } from '../../handler/podProgress.ts';
import { MAX_PREFETCH } from '../item.ts';

/** Items that a program gets at a time when it does not say how many. */
const DEFAULT_MAX = 1;
/** How long a program waits for items when it does not say so, s. */
const DEFAULT_WAIT_SECONDS = 30;
const MAX_WAIT_SECONDS = 3_600;
/** A result with white space may be larger than it is when it is kept. */
export const MAX_BODY_BYTES = 2 * MAX_ITEM_RESULT_BYTES;

/** What a program asks for, before its body is read. */
export type ItemRoute =
  | { readonly action: 'next'; readonly max: number; readonly waitMs: number }
  /** Tells what it has in hand. */
  | { readonly action: 'list' }
  | { readonly action: ItemAction; readonly id: number };

/** What can be said of an item. */
export type ItemAction = 'complete' | 'fail' | 'progress' | 'extend';

/** A request that can't be served, for a reason that is in it. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  /** HTTP status. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const ROUTES = 'POST /next, GET /items, and POST /items/ID/complete, /fail, /progress and /extend';

/** What a request asks for. Pure. @throws RequestError */
export function readRoute(method: string, target: string): ItemRoute {
  const url = new URL(target, 'http://items');
  const [, collection, id, action, ...more] = url.pathname.split('/');
  if (collection === 'next' && id === undefined) {
    checkMethod('POST', method, url);
    return { action: 'next', ...readNext(url.searchParams) };
  }
  if (collection === 'items' && id === undefined) {
    checkMethod('GET', method, url);
    checkNoQuery(url);
    return { action: 'list' };
  }
  if (collection === 'items' && isAction(action) && more.length === 0) {
    checkMethod('POST', method, url);
    checkNoQuery(url);
    if (!/^[1-9]\d{0,15}$/.test(id ?? '')) {
      throw new RequestError(400, `${url.pathname}: "${id}" is not the id of an item`);
    }
    return { action, id: Number(id) };
  }
  throw new RequestError(404, `${url.pathname}: there is no such path; there are ${ROUTES}`);
}

function isAction(text: string | undefined): text is ItemAction {
  return text === 'complete' || text === 'fail' || text === 'progress' || text === 'extend';
}

function checkMethod(expected: string, method: string, { pathname }: URL): void {
  if (method === expected) return;
  throw new RequestError(405, `${pathname}: ${expected} is expected, not ${method}`);
}

function checkNoQuery({ pathname, search }: URL): void {
  if (search !== '') throw new RequestError(400, `${pathname}: takes no parameters, got ${search}`);
}

function readNext(query: URLSearchParams): { max: number; waitMs: number } {
  const problems: string[] = [];
  const ranges: Record<string, number> = { max: MAX_PREFETCH, wait: MAX_WAIT_SECONDS };
  const values: Record<string, number> = { max: DEFAULT_MAX, wait: DEFAULT_WAIT_SECONDS };
  const seen = new Set<string>();
  for (const [name, text] of query) {
    const most = Object.hasOwn(ranges, name) ? ranges[name] : undefined;
    if (most === undefined) problems.push(`${name}: unknown; max and wait are known`);
    else if (seen.has(name)) problems.push(`${name}: given twice`);
    else if (!/^\d{1,9}$/.test(text) || Number(text) < 1 || Number(text) > most) {
      const unit = name === 'wait' ? ' (seconds)' : '';
      problems.push(`${name}: a whole number of 1 to ${most}${unit} is expected, got "${text}"`);
    } else values[name] = Number(text);
    seen.add(name);
  }
  if (problems.length > 0) throw new RequestError(400, `/next: ${problems.join('; ')}`);
  const { max = DEFAULT_MAX, wait = DEFAULT_WAIT_SECONDS } = values;
  return { max, waitMs: wait * 1000 };
}

/** The body of a request as JSON; undefined when it is empty. @throws RequestError */
export function readJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw new RequestError(400, 'the body is not UTF-8');
  const text = body.toString();
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RequestError(400, `the body is not JSON: ${(error as Error).message}`);
  }
}

/** The body of a request that has none. @throws RequestError */
export function readNothing(body: Buffer): void {
  if (body.length > 0) throw new RequestError(400, 'an empty body is expected');
}

/** Why an item failed. @throws RequestError */
export function readFailure(body: Buffer): { error: string; retry: boolean } {
  const value = readJson(body);
  if (value === undefined) return { error: 'its program said that it failed', retry: true };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestError(400, `an object { "error", "retry" } is expected, got ${kind(value)}`);
  }
  const problems: string[] = [];
  const { error = 'its program said that it failed', retry = true, ...rest } = value as Failure;
  if (typeof error !== 'string') problems.push(`error: a text is expected, got ${kind(error)}`);
  if (typeof retry !== 'boolean') {
    problems.push(`retry: true or false is expected, got ${kind(retry)}`);
  }
  for (const name of Object.keys(rest)) {
    problems.push(`${name}: unknown; error and retry are known`);
  }
  if (problems.length > 0) throw new RequestError(400, problems.join('; '));
  return { error: error as string, retry: retry as boolean };
}

interface Failure {
  readonly error?: unknown;
  readonly retry?: unknown;
}

/** How far a pod has come. @throws RequestError */
export function readProgress(body: Buffer): Progress {
  const value = readJson(body);
  const isPair = typeof value === 'object' && value !== null && 'done' in value && 'total' in value;
  const isProgress =
    typeof value === 'number' ||
    (isPair && typeof value.done === 'number' && typeof value.total === 'number');
  try {
    if (!isProgress) throw new RangeError('a number or { "done", "total" } is expected');
    checkProgress(value as Progress);
    return value as Progress;
  } catch (error) {
    throw new RequestError(400, `${(error as Error).message}, got ${JSON.stringify(value)}`);
  }
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value)}`;
}
