/** Schemas of OpenAPI, made from what is known of every field. */

import type { Field } from '@drover/shared/explain';

import { groupVersionText, type JsonObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import { atomicPathsOf, listRulesOf, type ListRule } from '../patch/listRules.ts';

/** A schema of OpenAPI. */
export type Schema = JsonObject;

const CORE = 'io.k8s.api.core.v1';
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity';

/** Names of what lies in fields, where Kubernetes calls it otherwise than its field. */
const TYPE_NAMES: Readonly<Record<string, string>> = {
  metadata: 'ObjectMeta',
  ownerReferences: 'OwnerReference',
  selector: 'LabelSelector',
  matchExpressions: 'LabelSelectorRequirement',
  template: 'PodTemplateSpec',
  jobTemplate: 'JobTemplateSpec',
  containers: 'Container',
  initContainers: 'Container',
  resources: 'ResourceRequirements',
  env: 'EnvVar',
  valueFrom: 'EnvVarSource',
  fieldRef: 'ObjectFieldSelector',
  ports: 'ContainerPort',
  emptyDir: 'EmptyDirVolumeSource',
};

/** Collects the schemas of some kinds, each object type once. */
export class SchemaCollector {
  readonly components = new Map<string, Schema>();

  /** Adds a kind with all that is in it; answers its name. */
  addKind(resource: Resource): string {
    const { group, version, kind } = resource;
    const name = kindName(resource);
    const walk: Walk = {
      rules: listRulesOf(resource),
      atomic: atomicPathsOf(resource),
      prefix: name.slice(0, -kind.length - 1),
      kind,
    };
    const schema = this.#object(resource.explained, '', walk);
    this.components.set(name, {
      ...schema,
      'x-kubernetes-group-version-kind': [{ group, version, kind }],
    });
    this.#addList(name, resource);
    return name;
  }

  #addList(item: string, { group, version, kind }: Resource): void {
    this.components.set(`${item}List`, {
      description: `A list of ${kind} objects.`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string', description: groupVersionText({ group, version }) },
        kind: { type: 'string', description: `${kind}List` },
        metadata: {
          type: 'object',
          description: 'Version of the list, and where it goes on.',
          properties: { resourceVersion: { type: 'string' }, continue: { type: 'string' } },
        },
        items: { type: 'array', description: 'The objects.', items: reference(item) },
      },
      'x-kubernetes-group-version-kind': [{ group, version, kind: `${kind}List` }],
    });
  }

  /** The schema of a field, a reference where it is an object. */
  #field(field: Field, path: string, walk: Walk): Schema {
    const description = descriptionOf(field);
    const schema = this.#type(field, field.type, path, walk);
    if ('$ref' in schema) {
      // Beside a reference nothing else may stand.
      return { description, allOf: [schema], ...defaultOf(field), ...atomic(path, walk) };
    }
    return {
      description,
      ...schema,
      ...(field.values.length > 0 && field.type === 'string' ? { enum: field.values } : {}),
      ...defaultOf(field),
      ...(schema['type'] === 'array' ? listExtensions(walk.rules.get(path)) : {}),
      ...atomic(path, walk),
    };
  }

  #type(field: Field, type: string, path: string, walk: Walk): Schema {
    if (type.startsWith('[]')) {
      return { type: 'array', items: this.#type(field, type.slice(2), path, walk) };
    }
    if (type.startsWith('map[string]')) {
      const values = type.slice('map[string]'.length);
      return { type: 'object', additionalProperties: this.#type(field, values, path, walk) };
    }
    switch (type) {
      case 'Object':
        return this.#objectReference(field, path, walk);
      case 'string':
      case 'integer':
      case 'boolean':
        return { type };
      case 'string or integer':
      case 'integer or string':
        this.components.set(QUANTITY, {
          description: 'An amount, such as 500m, 2 or 1Gi.',
          oneOf: [{ type: 'string' }, { type: 'number' }],
        });
        return reference(QUANTITY);
      default:
        return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    }
  }

  #objectReference(field: Field, path: string, walk: Walk): Schema {
    if (field.fields.length === 0) {
      return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    }
    // What it means is said where it is used.
    const { description: _, ...schema } = this.#object(field, path, walk);
    const place = placeOf(path, walk.kind);
    const type = TYPE_NAMES[field.name] ?? typeName(place.path, place.kind);
    const prefix = prefixOf(place.path, walk);
    let name = `${prefix}.${type}`;
    // Another type of the same name: of another part of the object.
    for (let n = 2; !isSame(this.components.get(name), schema); n++) name = `${prefix}.${type}${n}`;
    this.components.set(name, schema);
    return reference(name);
  }

  #object(field: Field, path: string, walk: Walk): Schema {
    const properties: Record<string, Schema> = {};
    for (const child of field.fields) {
      const here = path === '' ? child.name : `${path}.${child.name}`;
      properties[child.name] = this.#field(child, here, walk);
    }
    const required = field.fields.filter((child) => child.required).map(({ name }) => name);
    return {
      description: descriptionOf(field),
      type: 'object',
      properties,
      ...(required.length === 0 ? {} : { required }),
    };
  }
}

/** What is the same for a whole kind. */
interface Walk {
  readonly rules: ReadonlyMap<string, ListRule>;
  readonly atomic: ReadonlySet<string>;
  /** Beginning of the names of the kind's own types. */
  readonly prefix: string;
  readonly kind: string;
}

/** The name of a kind among the schemas. */
export function kindName({ group, version, kind }: Resource): string {
  const [domain = 'core'] = group.split('.');
  const base = group.includes('drover') ? 'dev.drover' : `io.k8s.api.${domain || 'core'}`;
  return `${base}.${version}.${kind}`;
}

/** A reference to a schema. */
export function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function isSame(known: Schema | undefined, schema: Schema): boolean {
  return known === undefined || JSON.stringify(known) === JSON.stringify(schema);
}

/** What is in the template of a CronJob is of the types of a Job. */
function placeOf(path: string, kind: string): { readonly path: string; readonly kind: string } {
  const template = 'spec.jobTemplate.';
  return path.startsWith(template)
    ? { path: path.slice(template.length), kind: 'Job' }
    : { path, kind };
}

/** `PodFailurePolicyRules` from `spec.podFailurePolicy.rules`; of the kind's own spec and status `JobSpec`. */
function typeName(path: string, kind: string): string {
  const parts = path.split('.');
  const last = parts.at(-1) ?? '';
  if (last === 'spec' && parts.length > 1) return 'PodSpec';
  const own = parts.length === 1 ? [kind, last] : [parts.at(-2) ?? '', last];
  const isPlain = parts.length > 1 && !['rules', 'items', 'conditions'].includes(last);
  return (isPlain ? [last] : own)
    .map((part) => `${part.slice(0, 1).toUpperCase()}${part.slice(1)}`)
    .join('');
}

function prefixOf(path: string, { prefix }: Walk): string {
  if (path.startsWith('metadata') || path === 'spec.selector') return META;
  if (path.startsWith('spec.template')) return CORE;
  return prefix;
}

function descriptionOf({ text, rule }: Field): string {
  const support =
    rule === null || rule.support === 'honoured'
      ? ''
      : `${rule.support === 'refused' ? 'Refused' : 'Without effect'}: ${rule.why}.`;
  return [text, support].filter((part) => part !== '').join(' ');
}

function defaultOf({ preset, type }: Field): { default?: unknown } {
  if (preset === null) return {};
  if (type === 'integer') return { default: Number(preset) };
  return { default: type === 'boolean' ? preset === 'true' : preset };
}

function listExtensions(rule: ListRule | undefined): Schema {
  if (rule === undefined) return { 'x-kubernetes-list-type': 'atomic' };
  const { mergeKey, retainsKeys, mapKeys } = rule;
  return {
    'x-kubernetes-patch-strategy': retainsKeys ? 'merge,retainKeys' : 'merge',
    ...(mergeKey === null ? {} : { 'x-kubernetes-patch-merge-key': mergeKey }),
    ...listType(mapKeys),
  };
}

function listType(mapKeys: readonly string[] | null): Schema {
  if (mapKeys === null) return { 'x-kubernetes-list-type': 'atomic' };
  if (mapKeys.length === 0) return { 'x-kubernetes-list-type': 'set' };
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': mapKeys };
}

function atomic(path: string, walk: Walk): Schema {
  return walk.atomic.has(path) ? { 'x-kubernetes-map-type': 'atomic' } : {};
}
