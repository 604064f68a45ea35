import { ApiError } from './status.ts';

/** In which form a client wants objects. */
export type Form = 'Object' | 'Table' | 'PartialObjectMetadata';

const GROUP = 'meta.k8s.io';
const FORMS: Readonly<Record<string, Form>> = {
  Table: 'Table',
  PartialObjectMetadata: 'PartialObjectMetadata',
  PartialObjectMetadataList: 'PartialObjectMetadata',
};

/** A media type that a client takes. */
export interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads an `Accept` header; its entries in the order of preference that clients of Kubernetes mean. */
export function parseAccept(header: string | undefined): MediaRange[] {
  return (header ?? '*/*').split(',').map((entry) => {
    const [type = '', ...rest] = entry.split(';').map((part) => part.trim());
    const parameters = rest.map((part): [string, string] => {
      const at = part.indexOf('=');
      return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
    });
    return { type: type.toLowerCase(), parameters: new Map(parameters) };
  });
}

/** Whether a media type is JSON, or includes it. */
export function isJson({ type }: MediaRange): boolean {
  return type === 'application/json' || type === 'application/*' || type === '*/*';
}

/**
 * The first form of an `Accept` header that there is.
 *
 * @throws ApiError when there is none.
 */
export function negotiateForm(header: string | undefined): Form {
  for (const range of parseAccept(header)) {
    if (!isJson(range)) continue;
    const as = range.parameters.get('as');
    if (as === undefined) return 'Object';
    const form = FORMS[as];
    const isKnown = range.parameters.get('g') === GROUP && range.parameters.get('v') === 'v1';
    if (form !== undefined && isKnown) return form;
  }
  throw notAcceptable();
}

/** What a client wants can not be given. */
export function notAcceptable(): ApiError {
  const message = 'only the following media types are accepted: application/json';
  return new ApiError(406, 'NotAcceptable', message, {});
}
