import { matchesSelector, type Selector } from '@drover/shared';

import { badRequest } from '../http/status.ts';
import { requiredValue, type FieldRequirement } from './fieldSelector.ts';
import type { ApiObject } from './object.ts';

/** Reads a field that objects can be selected by; what is not set counts as an empty text. */
export type FieldReader<T extends ApiObject> = (object: T) => string;

/** The fields that objects of a kind can be selected by. */
export type SelectableFields<T extends ApiObject> = Readonly<Record<string, FieldReader<T>>>;

/** Which objects are meant. */
export class Selection<T extends ApiObject = ApiObject> {
  readonly labels: Selector;
  readonly fields: readonly FieldRequirement[];
  readonly #readers: SelectableFields<T>;
  readonly #lasting: readonly FieldRequirement[];

  /** @throws ApiError for a field that objects of the kind can not be selected by. */
  constructor(labels: Selector, fields: readonly FieldRequirement[], readers: SelectableFields<T>) {
    this.labels = labels;
    this.fields = fields;
    this.#lasting = fields.filter(({ field }) => !field.startsWith('status.'));
    this.#readers = {
      'metadata.name': ({ metadata }) => metadata.name,
      'metadata.namespace': ({ metadata }) => metadata.namespace,
      ...readers,
    };
    for (const { field } of fields) {
      if (!Object.hasOwn(this.#readers, field)) {
        throw badRequest(`field label not supported: ${field}`);
      }
    }
  }

  /** Whether it says anything at all. */
  get isEmpty(): boolean {
    return this.labels.length === 0 && this.fields.length === 0;
  }

  /** The one name that is meant; null when names are not restricted. */
  get name(): string | null {
    return requiredValue(this.fields, 'metadata.name');
  }

  /** Whether an object is meant. */
  matches(object: T): boolean {
    return this.#matches(object, this.fields);
  }

  /** Whether an object may be meant whose status may be another one by now. */
  mayMatch(object: T): boolean {
    return this.#matches(object, this.#lasting);
  }

  #matches(object: T, fields: readonly FieldRequirement[]): boolean {
    return (
      matchesSelector(this.labels, object.metadata.labels) &&
      fields.every(({ field, equals, value }) => {
        const read = this.#readers[field];
        return read !== undefined && (read(object) === value) === equals;
      })
    );
  }
}
