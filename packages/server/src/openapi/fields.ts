import { fieldsOf, type Field } from '@drover/shared/explain';

/** A field that the schemas say nothing of. */
export function field(
  name: string,
  type: string,
  text: string,
  fields: readonly Field[] = [],
): Field {
  return { name, type, text, values: [], preset: null, required: false, rule: null, fields };
}

/** A kind with metadata and further fields. */
export function kindField(kind: string, text: string, fields: readonly Field[]): Field {
  const node = fieldsOf('Node').fields.find(({ name }) => name === 'metadata');
  const metadata = node ?? field('metadata', 'Object', 'Name, labels and the like.');
  return field(kind, 'Object', text, [
    field('apiVersion', 'string', 'Group and version.'),
    field('kind', 'string', `\`${kind}\`.`),
    metadata,
    ...fields,
  ]);
}
