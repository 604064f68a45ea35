import { describe, expect, test } from 'vitest';

import { handlerManifest, manifest, problemsOf, type ManifestChanges } from './manifests.ts';

interface Case {
  readonly name: string;
  readonly given: ManifestChanges;
  /** Path below the pod's spec, kind and beginning of the detail of each problem. */
  readonly want: readonly string[];
}

const notYet = 'Forbidden not supported by this version of Drover yet: ';
const env = (...variables: unknown[]) => ({ container: { env: variables } });
const fieldRef = (fieldPath: string, more: object = {}) =>
  env({ name: 'A', valueFrom: { fieldRef: { fieldPath, ...more } } });
const resources = (limits: object, requests: object = {}) => ({
  container: { resources: { limits, requests } },
});

const main = { name: 'main', command: ['x'] };

const podCases: Case[] = [
  {
    name: 'OnFailure is a restartPolicy',
    given: { pod: { restartPolicy: 'OnFailure' } },
    want: [],
  },
  ...[undefined, 'Always', ''].map((restartPolicy) => ({
    name: `restartPolicy ${restartPolicy}`,
    given: { pod: { restartPolicy } },
    want: ['restartPolicy Required valid values: "OnFailure", "Never"'],
  })),
  {
    name: 'a restartPolicy of another kind',
    given: { pod: { restartPolicy: 'Sometimes' } },
    want: ['restartPolicy NotSupported supported values: "OnFailure", "Never"'],
  },
  { name: 'no containers', given: { pod: { containers: [] } }, want: ['containers Required'] },
  {
    name: 'containers missing',
    given: { pod: { containers: null } },
    want: ['containers Required'],
  },
  {
    name: 'two containers of one name',
    given: {
      pod: {
        containers: [
          { name: 'a', command: ['x'] },
          { name: 'a', command: ['x'] },
        ],
      },
    },
    want: ['containers[1].name Duplicate'],
  },
  {
    name: 'a container without a name',
    given: { container: { name: '' } },
    want: ['containers[0].name Required'],
  },
  {
    name: 'a container in capitals',
    given: { container: { name: 'Main' } },
    want: ['containers[0].name Invalid a lowercase RFC 1123 label'],
  },
  { name: 'a grace period of 0', given: { pod: { terminationGracePeriodSeconds: 0 } }, want: [] },
  {
    name: 'a negative one, which counts as 1',
    given: { pod: { terminationGracePeriodSeconds: -5 } },
    want: [],
  },
  {
    name: "a pod's deadline of 0",
    given: { pod: { activeDeadlineSeconds: 0 } },
    want: ['activeDeadlineSeconds Invalid must be between 1 and 2147483647, inclusive'],
  },
  {
    name: "a pod's deadline",
    given: { pod: { activeDeadlineSeconds: 1 } },
    want: [],
  },
  { name: 'a hostname', given: { pod: { hostname: 'a-b' } }, want: [] },
  {
    name: 'a hostname with dots',
    given: { pod: { hostname: 'a.b' } },
    want: ['hostname Invalid must not contain dots'],
  },
  { name: 'a hostnameOverride', given: { pod: { hostnameOverride: 'a.b' } }, want: [] },
  {
    name: 'a hostnameOverride that is too long',
    given: { pod: { hostnameOverride: 'a'.repeat(65) } },
    want: ['hostnameOverride Invalid must be no more than 64 characters'],
  },
  {
    name: 'a priority class in capitals',
    given: { pod: { priorityClassName: 'High' } },
    want: ['priorityClassName Invalid a lowercase RFC 1123'],
  },
  { name: 'a pool', given: { pod: { nodeSelector: { 'drover.dev/pool': 'gpu' } } }, want: [] },
  {
    name: 'a pool that can be no part of a name',
    given: { pod: { nodeSelector: { 'drover.dev/pool': 'a.b' } } },
    want: ['nodeSelector[drover.dev/pool] Invalid must not contain dots'],
  },
  {
    name: 'another label of nodes',
    given: { pod: { nodeSelector: { 'kubernetes.io/arch': 'arm64' } } },
    want: ['nodeSelector[kubernetes.io/arch] Forbidden workers have no labels to select by'],
  },
  {
    name: 'no label at all',
    given: { pod: { nodeSelector: { '-': '-' } } },
    want: ['nodeSelector[-] Invalid name part', 'nodeSelector[-] Invalid a valid label'],
  },
  {
    name: 'users, groups and that none is root',
    given: {
      pod: {
        securityContext: { runAsUser: 0, runAsGroup: 2_147_483_647, supplementalGroups: [0, 5] },
        containers: [
          { ...main, securityContext: { runAsUser: 8, runAsGroup: 0, runAsNonRoot: true } },
        ],
      },
    },
    want: [],
  },
  {
    name: 'numbers that no user and no group has',
    given: {
      pod: { securityContext: { fsGroup: -1, supplementalGroups: [5, 2_147_483_648] } },
      container: { securityContext: { runAsUser: -1, runAsGroup: 2_147_483_648 } },
    },
    want: [
      'securityContext.fsGroup Invalid must be between 0 and 2147483647, inclusive',
      'securityContext.supplementalGroups[1] Invalid must be between 0 and 2147483647',
      'containers[0].securityContext.runAsUser Invalid must be between 0 and 2147483647',
      'containers[0].securityContext.runAsGroup Invalid must be between 0 and 2147483647',
    ],
  },
  {
    name: 'root that is not root',
    given: {
      pod: {
        securityContext: { runAsUser: 0, runAsNonRoot: true },
        containers: [
          main,
          { ...main, name: 'again', securityContext: { runAsNonRoot: true } },
          { ...main, name: 'other', securityContext: { runAsUser: 8 } },
        ],
      },
    },
    want: [
      'securityContext.runAsNonRoot Invalid may not be true when runAsUser is 0',
      'containers[1].securityContext.runAsNonRoot Invalid may not be true when runAsUser is 0',
    ],
  },
  {
    name: 'another user under handler',
    given: {
      pod: { runtimeClassName: 'handler', securityContext: { runAsGroup: 5 } },
      container: { image: 'f', command: undefined, securityContext: { runAsUser: 5 } },
    },
    want: [
      'containers[0].securityContext.runAsUser Forbidden a handler runs in its worker',
      'securityContext.runAsGroup Forbidden a handler runs in its worker, as the user of that',
    ],
  },
  { name: 'runtime process', given: { pod: { runtimeClassName: 'process' } }, want: [] },
  {
    name: 'runtime docker, which comes later; what hangs on the runtime is not checked',
    given: { pod: { runtimeClassName: 'docker' }, container: { command: undefined } },
    want: [`runtimeClassName ${notYet}containers on a Docker engine`],
  },
  {
    name: 'a runtime that nobody has',
    given: { pod: { runtimeClassName: 'gvisor' } },
    want: ['runtimeClassName NotSupported supported values: "process", "handler"'],
  },
  {
    name: 'a runtime in capitals',
    given: { pod: { runtimeClassName: 'Process' } },
    want: ['runtimeClassName Invalid a lowercase RFC 1123 subdomain'],
  },
];

const emptyDir = { name: 'data', emptyDir: {} };
const mounts = (...volumeMounts: unknown[]) => ({
  pod: { volumes: [emptyDir, { name: 'more' }], containers: [{ ...main, volumeMounts }] },
});

const severalCases: Case[] = [
  {
    name: 'initContainers, a sidecar and two containers',
    given: {
      pod: {
        initContainers: [
          { ...main, name: 'a' },
          { ...main, name: 'b', restartPolicy: 'Always' },
        ],
        containers: [main, { ...main, name: 'c' }],
      },
    },
    want: [],
  },
  {
    name: 'an initContainer with the name of a container',
    given: { pod: { initContainers: [main], containers: [main] } },
    want: ['containers[0].name Duplicate'],
  },
  {
    name: 'an initContainer without a command',
    given: { pod: { initContainers: [{ name: 'a' }] } },
    want: ['initContainers[0].command Required'],
  },
  {
    name: 'an initContainer that restarts sometimes',
    given: { pod: { initContainers: [{ ...main, name: 'a', restartPolicy: 'OnFailure' }] } },
    want: [],
  },
  {
    name: 'a container with a restartPolicy of its own',
    given: { container: { restartPolicy: 'Always' } },
    want: [],
  },
  {
    name: 'a restartPolicy that there is not',
    given: { container: { restartPolicy: 'Sometimes' } },
    want: [
      'containers[0].restartPolicy NotSupported supported values: "Always", "OnFailure", "Never"',
    ],
  },
  {
    name: 'restart rules without a restartPolicy',
    given: {
      container: {
        restartPolicyRules: [
          { action: 'Restart', exitCodes: { operator: 'In', values: [1, 1] } },
          { action: 'Restart' },
          { action: 'Restart', exitCodes: { operator: 'NotIn', values: [] } },
        ],
      },
    },
    want: [
      'containers[0].restartPolicyRules[0].exitCodes.values[1] Duplicate',
      'containers[0].restartPolicyRules[1].exitCodes Required',
      'containers[0].restartPolicyRules[2].exitCodes.values Required',
      'containers[0].restartPolicy Required must specify restartPolicy when restart rules are used',
    ],
  },
  {
    name: 'hooks of all kinds',
    given: {
      pod: { terminationGracePeriodSeconds: 5 },
      container: {
        lifecycle: { postStart: {}, preStop: { exec: {}, sleep: { seconds: 6 } } },
      },
    },
    want: [
      'containers[0].lifecycle.postStart Required must specify a handler type',
      'containers[0].lifecycle.preStop Forbidden may not specify more than 1 handler type',
      'containers[0].lifecycle.preStop.exec.command Required',
      'containers[0].lifecycle.preStop.sleep.seconds Invalid must be non-negative and less than terminationGracePeriodSeconds (5)',
    ],
  },
  {
    name: 'a hook that asks an address, and one of an initContainer',
    given: {
      pod: {
        initContainers: [{ ...main, name: 'a', lifecycle: { preStop: { sleep: { seconds: 1 } } } }],
      },
      container: { lifecycle: { preStop: { httpGet: { port: 80 } } } },
    },
    want: [
      'containers[0].lifecycle.preStop.httpGet Forbidden a pod has no address of its own; use exec',
      'initContainers[0].lifecycle Forbidden may not be set for init containers without restartPolicy=Always',
    ],
  },
  {
    name: 'a sidecar with a probe',
    given: {
      pod: {
        initContainers: [
          {
            ...main,
            name: 'a',
            restartPolicy: 'Always',
            startupProbe: { exec: { command: ['x'] } },
          },
        ],
      },
    },
    want: [],
  },
  {
    name: 'an initContainer with a probe',
    given: {
      pod: {
        initContainers: [{ ...main, name: 'a', startupProbe: { exec: { command: ['x'] } } }],
      },
    },
    want: [
      'initContainers[0].startupProbe Forbidden may not be set for init containers without restartPolicy=Always',
    ],
  },
  {
    name: 'probes with everything wrong',
    given: {
      container: {
        livenessProbe: {
          httpGet: {
            port: 'web',
            host: 'a/b',
            httpHeaders: [
              { name: 'not a token', value: 'x' },
              { name: 'X-Two', value: 'lines\n' },
            ],
          },
          tcpSocket: { port: 0 },
          initialDelaySeconds: -1,
          periodSeconds: 0,
          successThreshold: 2,
        },
        startupProbe: { exec: {} },
      },
    },
    want: [
      'containers[0].livenessProbe Forbidden may not specify more than 1 handler type',
      'containers[0].livenessProbe.initialDelaySeconds Invalid must be between 0 and 2147483647, inclusive',
      'containers[0].livenessProbe.periodSeconds Invalid must be between 1 and 2147483647, inclusive',
      'containers[0].livenessProbe.successThreshold Invalid must be 1',
      'containers[0].livenessProbe.httpGet.host Invalid must be the name or the address of a host',
      "containers[0].livenessProbe.httpGet.httpHeaders[0].name Invalid a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name')",
      'containers[0].livenessProbe.httpGet.httpHeaders[1].value Invalid must have no control characters',
      'containers[0].livenessProbe.httpGet.port Invalid must be a number, or the name of one of its ports',
      'containers[0].livenessProbe.tcpSocket.port Invalid must be between 1 and 65535, inclusive',
      'containers[0].startupProbe.exec.command Required',
    ],
  },
];

const volumeCases: Case[] = [
  {
    name: 'a volume mounted twice',
    given: mounts(
      { name: 'data', mountPath: '/a', subPath: 'x' },
      { name: 'data', mountPath: '/b', readOnly: true },
      { name: 'more', mountPath: '/c', subPathExpr: '$(A)' },
    ),
    want: [],
  },
  {
    name: 'a mount of a volume that there is not',
    given: mounts({ name: 'nothing', mountPath: '/a' }),
    want: ['containers[0].volumeMounts[0].name NotFound'],
  },
  {
    name: 'a mount of a sidecar of a volume that there is not',
    given: {
      pod: {
        initContainers: [{ ...main, name: 'a', volumeMounts: [{ name: 'data', mountPath: '/a' }] }],
      },
    },
    want: ['initContainers[0].volumeMounts[0].name NotFound'],
  },
  {
    name: 'two mounts at one path, however it is written',
    given: mounts({ name: 'data', mountPath: '/a' }, { name: 'more', mountPath: '//a/' }),
    want: ['containers[0].volumeMounts[1].mountPath Invalid must be unique'],
  },
  {
    name: 'mounts at paths that can be no place for them',
    given: mounts(
      { name: 'data', mountPath: '' },
      { name: 'data', mountPath: 'a' },
      { name: 'data', mountPath: '/' },
      { name: 'data', mountPath: '/a/../b' },
      { name: 'data', mountPath: '/a:b' },
    ),
    want: [
      'containers[0].volumeMounts[0].mountPath Required',
      'containers[0].volumeMounts[1].mountPath Invalid must be an absolute path',
      'containers[0].volumeMounts[2].mountPath Invalid must not be the root directory',
      "containers[0].volumeMounts[3].mountPath Invalid must not contain '..'",
      "containers[0].volumeMounts[4].mountPath Invalid must not contain ':'",
    ],
  },
  {
    name: 'parts of a volume that lie outside of it',
    given: mounts(
      { name: 'data', mountPath: '/a', subPath: '/etc' },
      { name: 'data', mountPath: '/b', subPathExpr: 'x/../..' },
      { name: 'data', mountPath: '/c', subPath: 'x', subPathExpr: 'y' },
    ),
    want: [
      'containers[0].volumeMounts[0].subPath Invalid must be a relative path',
      "containers[0].volumeMounts[1].subPathExpr Invalid must not contain '..'",
      'containers[0].volumeMounts[2].subPathExpr Invalid subPathExpr and subPath are mutually',
    ],
  },
  {
    name: 'two volumes of one name, one without, one in capitals',
    given: { pod: { volumes: [emptyDir, emptyDir, { name: '' }, { name: 'Data' }] } },
    want: [
      'volumes[1].name Duplicate',
      'volumes[2].name Required',
      'volumes[3].name Invalid a lowercase RFC 1123 label',
    ],
  },
  {
    name: 'an emptyDir on something else, and one of less than nothing',
    given: {
      pod: {
        volumes: [
          { name: 'a', emptyDir: { medium: 'HugePages' } },
          { name: 'b', emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } },
          { name: 'c', emptyDir: { sizeLimit: '-1' } },
        ],
      },
    },
    want: [
      'volumes[0].emptyDir.medium NotSupported supported values: "", "Memory"',
      'volumes[2].emptyDir.sizeLimit Invalid must be greater than or equal to 0',
    ],
  },
  {
    name: 'a volume of two kinds',
    given: { pod: { volumes: [{ name: 'a', emptyDir: {}, hostPath: { path: '/' } }] } },
    want: ['volumes[0] Forbidden may not specify more than 1 volume type'],
  },
  {
    name: 'volumes of files',
    given: {
      pod: {
        volumes: [
          { name: 'a', configMap: { name: 'x', items: [{ key: 'k', path: 'p/q', mode: 0 }] } },
          { name: 'b', secret: { secretName: 'x', defaultMode: 0o777, optional: true } },
          { name: 'c', projected: { sources: [{ configMap: { name: 'x' } }, {}] } },
          {
            name: 'd',
            downwardAPI: {
              items: [
                { path: 'a', fieldRef: { fieldPath: "metadata.annotations['Note']" } },
                {
                  path: 'b',
                  resourceFieldRef: { containerName: 'main', resource: 'requests.cpu' },
                },
              ],
            },
          },
          { name: 'e', hostPath: { path: '/x', type: 'Socket' } },
        ],
      },
    },
    want: [],
  },
  {
    name: 'files in volumes that there can not be',
    given: {
      pod: {
        volumes: [
          { name: 'a', configMap: { name: '', defaultMode: 512, items: [{ key: '', path: '' }] } },
          {
            name: 'b',
            secret: { secretName: 'S', items: [{ key: 'a/b', path: '../x', mode: -1 }] },
          },
          {
            name: 'c',
            downwardAPI: {
              items: [
                { path: 'x', fieldRef: { fieldPath: 'spec.nodeName' } },
                { path: 'x', resourceFieldRef: { resource: 'requests.cpu' } },
                { path: '/y' },
                { path: '..z', fieldRef: { fieldPath: '', apiVersion: 'v2' }, mode: 1000 },
              ],
            },
          },
          {
            name: 'd',
            projected: {
              sources: [
                { configMap: { name: 'x', items: [{ key: 'k', path: 'p' }] } },
                { secret: { name: 'x', items: [{ key: 'k', path: 'p' }] } },
                { secret: { name: 'x' }, configMap: { name: 'x' } },
              ],
            },
          },
          { name: 'e', hostPath: { path: 'x', type: 'Thing' } },
          { name: 'f', hostPath: { path: '/x/../y' } },
        ],
      },
    },
    want: [
      'volumes[0].configMap.name Required',
      'volumes[0].configMap.defaultMode Invalid must be a number between 0 and 0777 (octal)',
      'volumes[0].configMap.items[0].key Required',
      'volumes[0].configMap.items[0].path Required',
      'volumes[1].secret.secretName Invalid a lowercase RFC 1123 subdomain',
      'volumes[1].secret.items[0].key Invalid a valid config key',
      "volumes[1].secret.items[0].path Invalid must not contain '..'",
      'volumes[1].secret.items[0].mode Invalid must be a number between 0 and 0777 (octal)',
      'volumes[2].downwardAPI.items[0].fieldRef.fieldPath NotSupported supported values: "metadata.name"',
      'volumes[2].downwardAPI.items[1].path Duplicate',
      'volumes[2].downwardAPI.items[1].resourceFieldRef.containerName Required',
      'volumes[2].downwardAPI.items[2].path Invalid must be a relative path',
      'volumes[2].downwardAPI.items[2] Required one of fieldRef and resourceFieldRef is required',
      "volumes[2].downwardAPI.items[3].path Invalid must not start with '..'",
      'volumes[2].downwardAPI.items[3].mode Invalid must be a number between 0 and 0777 (octal)',
      'volumes[2].downwardAPI.items[3].fieldRef.apiVersion NotSupported supported values: "v1"',
      'volumes[2].downwardAPI.items[3].fieldRef.fieldPath Required',
      'volumes[3].projected.sources[1].secret.items[0].path Invalid conflicting duplicate paths',
      'volumes[3].projected.sources[2] Invalid may not specify more than 1 volume type per source',
      'volumes[4].hostPath.path Invalid must be an absolute path',
      'volumes[4].hostPath.type NotSupported supported values: "", "DirectoryOrCreate"',
      "volumes[5].hostPath.path Invalid must not contain '..'",
    ],
  },
  {
    name: 'a volume of no kind is an emptyDir',
    given: { pod: { volumes: [{ name: 'a' }] } },
    want: [],
  },
];

const containerCases: Case[] = [
  {
    name: 'no command',
    given: { container: { command: undefined } },
    want: ["containers[0].command Required the process runtime can't know the entrypoint"],
  },
  {
    name: 'an image does not make up for it',
    given: { container: { image: 'busybox', command: [], args: ['x'] } },
    want: ["containers[0].command Required the process runtime can't know the entrypoint"],
  },
  {
    name: 'a program without a name',
    given: { container: { command: ['', 'x'] } },
    want: ['containers[0].command[0] Invalid must name a program'],
  },
  {
    name: 'NUL in a command, an argument, a directory and a variable',
    given: {
      container: {
        command: ['a\0'],
        args: ['b', '\0'],
        workingDir: '/\0',
        env: [{ name: 'A', value: '\0' }],
      },
    },
    want: [
      'containers[0].command[0] Invalid must not contain NUL',
      'containers[0].args[1] Invalid must not contain NUL',
      'containers[0].workingDir Invalid must not contain NUL',
      'containers[0].env[0].value Invalid must not contain NUL',
    ],
  },
  {
    name: 'blanks around an image',
    given: { container: { image: ' busybox' } },
    want: ['containers[0].image Invalid must not have leading or trailing whitespace'],
  },
  { name: 'the same variable twice', given: env({ name: 'A' }, { name: 'A' }), want: [] },
  {
    name: 'a variable without a name',
    given: env({ name: '' }),
    want: ['containers[0].env[0].name Required'],
  },
  {
    name: 'a variable with = in its name',
    given: env({ name: 'A=B' }),
    want: ['containers[0].env[0].name Invalid a valid environment variable name'],
  },
  {
    name: 'a variable from nothing',
    given: env({ name: 'A', valueFrom: {} }),
    want: ['containers[0].env[0].valueFrom Invalid must specify one of: `fieldRef`'],
  },
  {
    name: 'a variable with a value from two places',
    given: env({ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }),
    want: ['containers[0].env[0].valueFrom Invalid may not be specified when `value` is not empty'],
  },
  {
    name: 'a variable from two sources',
    given: env({
      name: 'A',
      valueFrom: {
        fieldRef: { fieldPath: 'metadata.name' },
        secretKeyRef: { name: 's', key: 'k' },
      },
    }),
    want: ['containers[0].env[0].valueFrom Invalid may not have more than one field specified'],
  },
  {
    name: 'keys of ConfigMaps and Secrets that there can not be',
    given: env(
      { name: 'A', valueFrom: { configMapKeyRef: { name: 'c', key: 'a.b', optional: true } } },
      { name: 'B', valueFrom: { configMapKeyRef: { name: '', key: '' } } },
      { name: 'C', valueFrom: { secretKeyRef: { name: 'S_', key: 'a/b' } } },
    ),
    want: [
      'containers[0].env[1].valueFrom.configMapKeyRef.name Required',
      'containers[0].env[1].valueFrom.configMapKeyRef.key Required',
      'containers[0].env[2].valueFrom.secretKeyRef.name Invalid a lowercase RFC 1123 subdomain',
      'containers[0].env[2].valueFrom.secretKeyRef.key Invalid a valid config key',
    ],
  },
  {
    name: 'variables from whole objects',
    given: {
      container: {
        envFrom: [
          { prefix: 'A_', configMapRef: { name: 'c', optional: true } },
          { prefix: 'a=', secretRef: { name: '' } },
          {},
          { configMapRef: { name: 'c' }, secretRef: { name: 's' } },
        ],
      },
    },
    want: [
      'containers[0].envFrom[1].prefix Invalid a valid environment variable name',
      'containers[0].envFrom[1].secretRef.name Required',
      'containers[0].envFrom[2] Invalid must specify one of: `configMapRef` or `secretRef`',
      'containers[0].envFrom[3] Invalid may not have more than one field specified at a time',
    ],
  },
  {
    name: 'resources of containers that have none, or of none',
    given: env(
      ...[
        { resource: 'requests.memory', divisor: '1Mi' },
        { resource: 'limits.ephemeral-storage' },
        { resource: 'requests.cpu', containerName: 'other' },
        { resource: 'requests.gpu' },
        { resource: 'requests.cpu', divisor: '1Mi' },
        { resource: '' },
        // What the worker has.
        { resource: 'limits.cpu' },
        { resource: 'limits.memory' },
      ].map((resourceFieldRef, at) => ({ name: `A${at}`, valueFrom: { resourceFieldRef } })),
    ),
    want: [
      'containers[0].env[1].valueFrom.resourceFieldRef.resource Forbidden container "main" has no limit of ephemeral-storage',
      'containers[0].env[2].valueFrom.resourceFieldRef.containerName NotFound',
      'containers[0].env[3].valueFrom.resourceFieldRef.resource NotSupported supported values: "limits.cpu"',
      "containers[0].env[4].valueFrom.resourceFieldRef.divisor Invalid only divisor's values 1m, 1 are supported",
      'containers[0].env[5].valueFrom.resourceFieldRef.resource Required',
    ],
  },
  ...[
    'metadata.name',
    'metadata.namespace',
    'metadata.uid',
    "metadata.labels['app']",
    "metadata.annotations['example.com/A']",
    'spec.nodeName',
    'spec.serviceAccountName',
    'status.hostIP',
    'status.hostIPs',
    'status.podIP',
    'status.podIPs',
  ].map((fieldPath) => ({ name: `field ${fieldPath}`, given: fieldRef(fieldPath), want: [] })),
  ...['metadata.labels', 'spec.hostname', 'status.phase', 'x'].map((fieldPath) => ({
    name: `field ${fieldPath}, which there is not`,
    given: fieldRef(fieldPath),
    want: [
      'containers[0].env[0].valueFrom.fieldRef.fieldPath NotSupported supported values: "metadata.name"',
    ],
  })),
  {
    name: 'no field',
    given: fieldRef(''),
    want: ['containers[0].env[0].valueFrom.fieldRef.fieldPath Required'],
  },
  {
    name: 'a label that can not be',
    given: fieldRef("metadata.labels['-']"),
    want: ['containers[0].env[0].valueFrom.fieldRef.fieldPath Invalid name part'],
  },
  {
    name: 'fields of another version',
    given: fieldRef('metadata.name', { apiVersion: 'v2' }),
    want: [
      'containers[0].env[0].valueFrom.fieldRef.apiVersion NotSupported supported values: "v1"',
    ],
  },
  {
    name: 'ports from 1 to 65535',
    given: {
      container: {
        ports: [{ containerPort: 1 }, { containerPort: 65535, hostPort: 0 }, { containerPort: 0 }],
      },
    },
    want: ['containers[0].ports[2].containerPort Invalid must be between 1 and 65535, inclusive'],
  },
  {
    name: 'a port on the host',
    given: { container: { ports: [{ containerPort: 1, hostPort: 65536 }] } },
    want: ['containers[0].ports[0].hostPort Invalid must be between 0 and 65535, inclusive'],
  },
  { name: 'as much as the limit', given: resources({ cpu: 1 }, { cpu: '1000m' }), want: [] },
  {
    name: 'more than the limit',
    given: resources({ cpu: 1 }, { cpu: '1001m' }),
    want: ['containers[0].resources.requests Invalid must be less than or equal to cpu limit of 1'],
  },
  {
    name: 'less than nothing',
    given: resources({ memory: '-1Gi' }),
    want: [
      'containers[0].resources.limits[memory] Invalid must be greater than or equal to 0',
      'containers[0].resources.requests[memory] Invalid must be greater than or equal to 0',
    ],
  },
  {
    name: 'a resource without a name',
    given: resources({}, { '-': 1 }),
    want: ['containers[0].resources.requests[-] Invalid name part'],
  },
  {
    name: 'a pull policy of another kind',
    given: { container: { imagePullPolicy: 'Sometimes' } },
    want: [
      'containers[0].imagePullPolicy NotSupported supported values: "Always", "IfNotPresent", "Never"',
    ],
  },
];

const handlerCases: Case[] = [
  { name: 'a handler with arguments', given: { container: { args: ['a'] } }, want: [] },
  {
    name: 'no handler',
    given: { container: { image: '' } },
    want: ['containers[0].image Required the name under which the handler is registered'],
  },
  {
    name: 'a handler with a tag',
    given: { container: { image: 'resize:v1' } },
    want: ['containers[0].image Invalid must not have a tag or digest'],
  },
  {
    name: 'a handler and a command',
    given: { container: { command: ['resize'] } },
    want: ['containers[0].command Forbidden a handler is chosen by `image`'],
  },
  {
    name: 'a handler in a directory of its own',
    given: { container: { workingDir: '/tmp' } },
    want: ['containers[0].workingDir Forbidden handlers share the working directory'],
  },
  {
    name: 'a handler beside others, with a volume',
    given: {
      pod: {
        initContainers: [{ name: 'a', image: 'x' }],
        containers: [
          { name: 'b', image: 'x', volumeMounts: [{ name: 'v', mountPath: '/v' }] },
          { name: 'c', image: 'x' },
        ],
        volumes: [{ name: 'v' }],
      },
    },
    want: [
      'containers[0].volumeMounts Forbidden a handler shares the files of its worker',
      'initContainers Forbidden a handler is the only container of its pod',
      'volumes Forbidden a handler shares the files of its worker',
      'containers[1] Forbidden a handler is the only container of its pod',
    ],
  },
];

/** The problems, each cut to what is wanted of it. */
function check(input: unknown, want: readonly string[], prefix: string): void {
  const problems = problemsOf(input);
  expect(
    problems.map((text, at) => text.slice(0, prefix.length + (want[at]?.length ?? 0))),
  ).toEqual(want.map((text) => prefix + text));
}

describe.each([
  ['a pod', podCases, manifest],
  ['several containers', severalCases, manifest],
  ['volumes', volumeCases, manifest],
  ['a container', containerCases, manifest],
  ['a handler', handlerCases, handlerManifest],
])('rules for %s', (_, cases, build) => {
  test.each(cases)('$name', ({ given, want }) => {
    check(build(given), want, 'spec.template.spec.');
  });
});

test('labels and annotations of the template are checked as such', () => {
  const { template } = manifest()['spec'] as { template: object };
  const metadata = { labels: { '-': '' }, annotations: { '-': '' } };
  check(
    manifest({ spec: { template: { ...template, metadata } } }),
    ['labels Invalid name part', 'annotations Invalid name part'],
    'spec.template.',
  );
});
