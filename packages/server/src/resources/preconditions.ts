import type { ApiObject } from '../api/object.ts';
import type { DeleteOptions } from '../api/resource.ts';
import { ApiError } from '../http/status.ts';

/** Refuses to delete an object that is another one than the client means. */
export function checkPreconditions(
  { metadata }: ApiObject,
  { uid, resourceVersion }: DeleteOptions,
): void {
  if (uid !== null && uid !== metadata.uid) {
    throw failed(`UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`);
  }
  if (resourceVersion !== null && resourceVersion !== metadata.resourceVersion) {
    throw failed(
      `ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    );
  }
}

function failed(what: string): ApiError {
  return new ApiError(409, 'Conflict', `Precondition failed: ${what}`);
}
