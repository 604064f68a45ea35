/** Requests that no client means: almost right ones, and such as are nothing at all. */

import * as fc from 'fast-check';

/** A request as it is sent. */
export interface FuzzedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

/** Those of {@link EXISTING} most of the time. */
const NAMES = fc.oneof(
  { arbitrary: fc.constantFrom('a', 'b'), weight: 5 },
  {
    arbitrary: fc.constantFrom('A', '__proto__', 'constructor', '..', '%00', 'x'.repeat(300)),
    weight: 1,
  },
);
const KINDS = [
  ['/apis/batch/v1', 'jobs', 'Job'],
  ['/api/v1', 'pods', 'Pod'],
  ['/api/v1', 'configmaps', 'ConfigMap'],
  ['/api/v1', 'secrets', 'Secret'],
  ['/api/v1', 'serviceaccounts', 'ServiceAccount'],
  ['/apis/drover.dev/v1', 'workqueues', 'WorkQueue'],
  ['/api/v1', 'events', 'Event'],
] as const;
const SUBRESOURCES = [
  '',
  '',
  '',
  '',
  '',
  '',
  '',
  '/status',
  '/log',
  '/eviction',
  '/exec',
  '/scale',
];
const TYPES = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
  'text/plain',
  '',
];
/** What a method's bodies are, most of the time. */
const USUAL_TYPES: Readonly<Record<string, readonly string[]>> = {
  POST: ['application/json', 'application/yaml'],
  PUT: ['application/json', 'application/yaml'],
  PATCH: TYPES.filter((type) => type.includes('patch')),
};
const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'PUT',
  'PUT',
  'PATCH',
  'PATCH',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'HEAD',
];
const PARAMETERS = [
  'limit',
  'continue',
  'labelSelector',
  'fieldSelector',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'dryRun',
  'fieldManager',
  'fieldValidation',
  'force',
  'propagationPolicy',
  'gracePeriodSeconds',
  'orphanDependents',
  'tailLines',
  'sinceTime',
  'container',
  'includeObject',
  'watch',
];
const VALUES = [
  '0',
  '1',
  '-1',
  'true',
  'All',
  'Strict',
  'Exact',
  'NotOlderThan',
  'Background',
  'a=b',
  'a in (b,c)',
  'metadata.name=a',
  'a\\',
  '9'.repeat(30),
  'eyJ2ZXJzaW9uIjoiMSIsImFmdGVyIjoiMCB4In0',
];

const oneOf = <T>(values: readonly T[]) => fc.constantFrom(...values);

/** Values of JSON with names that mean something to JavaScript, or to patches. */
const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  oneOf<unknown>([
    JSON.parse('{"__proto__": {"polluted": true}}'),
    { constructor: { prototype: { polluted: true } } },
    { $patch: 'delete' },
    { $patch: 'replace', a: 1 },
    [{ $patch: 'merge' }],
    { '$setElementOrder/containers': [{ name: 'a' }] },
    { 'f:spec': { 'k:{"a"': {} } },
    -1,
    1e300,
    '',
    null,
    [[[[[[[[[[]]]]]]]]]],
  ]),
);

const container = { name: 'main', image: 'x', command: ['true'], env: [{ name: 'A', value: 'b' }] };
const podSpec = { restartPolicy: 'Never', containers: [container] };

/** The objects that requests are about, to be there before. */
export const EXISTING = KINDS.filter(([, plural]) => plural !== 'events').flatMap(
  ([base, plural, kind]) =>
    ['a', 'b'].map((name) => ({
      path: `${base}/namespaces/default/${plural}`,
      manifest: manifestOf(kind, name),
    })),
);

function manifestOf(kind: string, name: string): object {
  const metadata = { name, labels: { a: 'b' }, annotations: {}, finalizers: [] };
  switch (kind) {
    case 'Job':
      return { metadata, spec: { suspend: true, parallelism: 2, template: { spec: podSpec } } };
    case 'Pod':
      return { metadata, spec: podSpec };
    case 'Secret':
      return { metadata, stringData: { a: 'b' } };
    case 'ConfigMap':
      return { metadata, data: { a: 'b' } };
    default:
      return { metadata };
  }
}

/** Puts something in the place of one value of an object. */
function mutated(object: unknown, path: readonly number[], value: unknown): unknown {
  const [at, ...rest] = path;
  if (at === undefined || typeof object !== 'object' || object === null) return value;
  const entries = Object.entries(object);
  const entry = entries[at % (entries.length + 1)];
  if (entry === undefined) {
    return Array.isArray(object) ? [...object, value] : { ...object, added: value };
  }
  const changed = entries.map(([name, inner]) => [
    name,
    name === entry[0] ? mutated(inner, rest, value) : inner,
  ]);
  if (Array.isArray(object)) return changed.map(([, inner]) => inner);
  return Object.fromEntries(changed) as object;
}

const query = fc
  .array(fc.tuple(oneOf(PARAMETERS), fc.oneof(oneOf(VALUES), fc.string())), { maxLength: 3 })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&'));

/** A request about a resource, with an object or a patch that is almost right. */
const aware = fc
  .record({
    kind: oneOf(KINDS),
    name: NAMES,
    isOne: fc.nat(9).map((n) => n === 0),
    part: oneOf(SUBRESOURCES),
    method: oneOf(METHODS),
    anyType: oneOf(TYPES),
    typeAt: fc.nat(30),
    query,
    place: fc.array(fc.nat(6), { maxLength: 7 }),
    value: anything,
    operations: fc.array(
      fc.record({
        op: oneOf(['add', 'remove', 'replace', 'move', 'copy', 'test', 'x']),
        path: oneOf(['/spec', '/metadata/labels/a', '/__proto__/x', '', '/spec/template/-', 'x']),
        from: oneOf(['/spec', '', '/metadata', '/constructor']),
        value: anything,
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ kind: [base, plural, kind], name, isOne, part, method, anyType, typeAt, ...rest }) => {
    const usual = USUAL_TYPES[method] ?? ['application/json'];
    // Now and then it is another one.
    const type = typeAt > 25 ? anyType : (usual[typeAt % usual.length] ?? anyType);
    const target = isOne !== (method !== 'POST') ? `/${encodeURI(name)}${part}` : '';
    const isMany = method === 'DELETE' && rest.place.length > 6;
    const object = mutated(manifestOf(kind, name), rest.place, rest.value);
    const isPatch = type === 'application/json-patch+json';
    const body = JSON.stringify(isPatch ? rest.operations : object) ?? '';
    return request(
      method,
      `${base}/namespaces/default/${plural}${isMany ? '' : target}?${rest.query}`,
      type,
      Buffer.from(body),
    );
  });

/** Bytes, to anywhere. */
const raw = fc
  .record({
    method: oneOf(METHODS),
    path: fc.oneof(
      fc.string().map((text) => `/${encodeURI(text.replace(/[\uD800-\uDFFF]/g, ''))}`),
      oneOf([
        '/apis/batch/v1/namespaces/../jobs',
        '/api/v1/namespaces/default/pods/%2e%2e%2fx/log',
        '/apis//batch/v1/jobs',
        '//api/v1/pods',
        '/openapi/v3/../../api',
        '/api/v1/namespaces/%00/pods',
        '/api/v1/namespaces/default/pods/%ff',
        '/%',
      ]),
      oneOf(KINDS).map(([base, plural]) => `${base}/namespaces/default/${plural}`),
    ),
    type: oneOf(TYPES),
    accept: oneOf([
      '*/*',
      '',
      ',;=,',
      'application/json;as=Table;v=v1;g=meta.k8s.io',
      'application/json;as=__proto__;v=v1;g=meta.k8s.io',
      'x'.repeat(5_000),
    ]),
    isProtobuf: fc.boolean(),
    bytes: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ method, path, type, accept, isProtobuf, bytes }) => {
    const magic = Buffer.from(isProtobuf ? 'k8s\0' : '');
    const sent = request(method, path, type, Buffer.concat([magic, bytes]));
    return { ...sent, headers: { ...sent.headers, accept } };
  });

function request(method: string, path: string, type: string, body: Buffer): FuzzedRequest {
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return {
    method,
    path,
    headers: type === '' ? {} : { 'content-type': type },
    body: hasBody ? body : null,
  };
}

/** Requests of both sorts. */
export const requests: fc.Arbitrary<FuzzedRequest> = fc.oneof(
  { arbitrary: aware, weight: 3 },
  { arbitrary: raw, weight: 1 },
);
