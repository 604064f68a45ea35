/** What every field of every kind means: for `explain`, and for the documents of the API. */
export { fieldsOf, type ExplainedKind, type Field } from './explain/fields.ts';
