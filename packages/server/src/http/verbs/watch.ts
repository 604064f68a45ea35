import { WatchExpiredError } from '@drover/store';

import type { ApiObject } from '../../api/object.ts';
import type { WatchEvent, WatchRequest } from '../../api/resource.ts';
import { jsonOf, metadataJsonOf } from '../../api/json.ts';
import { nameRowJson, rowJson, tableJson, type TableDefinition } from '../../api/table.ts';
import { negotiateForm } from '../accept.ts';
import type { Context } from '../context.ts';
import { checkListOptions, count, flag, readSelection, readVersion, type Query } from '../query.ts';
import { ApiError, asApiError, expired, statusOf } from '../status.ts';
import { StreamedAnswer } from '../stream.ts';

/** How often a client that wants bookmarks is told how far it is. */
const BOOKMARK_MS = 60_000;
/** A watch without an end of its own ends after this, or up to twice as much: not all at once. */
const DEFAULT_TIMEOUT_S = 1_800;
/** A longer timer would fire at once. */
const MAX_TIMEOUT_S = 2_000_000;

/** Answers with what happens to objects, for as long as the client listens. */
export async function watchObjects(context: Context): Promise<void> {
  const { resource, query } = context;
  checkListOptions(query);
  if (resource.watch === undefined) throw context.notDone();
  const encode = makeEncoder(context);
  const request: Omit<WatchRequest, 'signal'> = {
    namespace: context.namespace,
    selection: readSelection(query, resource),
    from: beginning(query),
    bookmarkMs: flag(query, 'allowWatchBookmarks') ? BOOKMARK_MS : null,
  };
  const timeout = AbortSignal.timeout(timeoutSeconds(query) * 1_000);

  context.reply.hijack();
  const answer = new StreamedAnswer(context.reply.raw);
  answer.begin({ 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  const signal = AbortSignal.any([answer.signal, timeout, context.closing]);
  try {
    for await (const event of resource.watch({ ...request, signal })) {
      if (signal.aborted) break;
      if (isWanted(event, query)) await answer.write(encode(event));
    }
  } catch (error) {
    if (!signal.aborted) await answer.write(encodeError(error, context));
  } finally {
    answer.end();
  }
}

function beginning(query: Query): WatchRequest['from'] {
  const version = readVersion(query) ?? 0;
  const isAsked = query['sendInitialEvents'] !== undefined;
  if (isAsked ? flag(query, 'sendInitialEvents') : version === 0) return { type: 'initial' };
  return version === 0 ? { type: 'now' } : { type: 'since', version };
}

function timeoutSeconds(query: Query): number {
  const wanted = count(query, 'timeoutSeconds') ?? 0;
  if (wanted > 0) return Math.min(wanted, MAX_TIMEOUT_S);
  return Math.round(DEFAULT_TIMEOUT_S * (1 + Math.random()));
}

/** Who did not ask for the initial events does not know what to make of their end. */
function isWanted({ type, object }: WatchEvent, query: Query): boolean {
  const endsInitial = type === 'BOOKMARK' && object.metadata.annotations !== undefined;
  return !endsInitial || flag(query, 'sendInitialEvents');
}

/** One line for each event, in the form that the client wants. */
function makeEncoder(context: Context): (event: WatchEvent) => string {
  switch (negotiateForm(context.request.headers.accept)) {
    case 'Object':
      return ({ type, object }) => `{"type":"${type}","object":${jsonOf(object)}}\n`;
    case 'PartialObjectMetadata':
      return ({ type, object }) => `{"type":"${type}","object":${metadataJsonOf(object)}}\n`;
    case 'Table':
      return tableEncoder(context);
  }
}

function tableEncoder(context: Context): (event: WatchEvent) => string {
  const definition = context.resource.table as TableDefinition<ApiObject>;
  const include = context.includeObject();
  let withColumns = true;
  return ({ type, object, isRemains }) => {
    const metadata = { resourceVersion: object.metadata.resourceVersion };
    const options = { metadata, withColumns };
    withColumns = false;
    const rows = (): string[] => {
      // Of a bookmark and of remains there is nothing to show but the name.
      if (isRemains) return type === 'BOOKMARK' ? [] : [nameRowJson(definition, object)];
      return [rowJson(definition, object as ApiObject, include, Date.now())];
    };
    return `{"type":"${type}","object":${tableJson(definition, rows(), options)}}\n`;
  };
}

function encodeError(error: unknown, context: Context): string {
  const told = error instanceof WatchExpiredError ? expired(error.message) : asApiError(error);
  if (told === null) context.request.log.error({ err: error }, 'a watch failed');
  const status = statusOf(told ?? new ApiError(500, 'InternalError', 'the watch failed'));
  return `${JSON.stringify({ type: 'ERROR', object: status })}\n`;
}
