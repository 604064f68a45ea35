import type { Resource } from '../api/resource.ts';
import type { Context } from '../http/context.ts';
import type { Subresource } from '../http/routes.ts';
import { methodNotAllowed } from '../http/status.ts';

const PROGRAM = 'a pod is a program of a worker here, and nobody can enter it';
const ADDRESS = 'a pod has no address of its own here';

/** Parts of pods and Jobs that Kubernetes has, with why they are not here. */
const WHY = {
  pods: {
    exec: PROGRAM,
    attach: `${PROGRAM}; \`kubectl logs -f\` shows its output`,
    ephemeralcontainers: PROGRAM,
    portforward: ADDRESS,
    proxy: ADDRESS,
  },
  jobs: {
    scale:
      'kubectl patch job NAME -p \'{"spec":{"parallelism":N}}\' changes how many pods run at once',
  },
} as const;

/** Answers for what has no meaning here: clients show why, rather than that a path is unknown. */
export function notOffered(resource: Resource, of: keyof typeof WHY): Subresource[] {
  return Object.entries(WHY[of]).map(([name, why]) => {
    const refuse = async ({ name: object }: Context): Promise<void> => {
      throw methodNotAllowed(`${of} "${object}": ${name} is not offered: ${why}`);
    };
    const handlers = { GET: refuse, POST: refuse, PUT: refuse, PATCH: refuse };
    return { resource, name, handlers, isHidden: true };
  });
}
