import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { ApiObject } from '../../src/api/object.ts';
import { OrderedObjects, pathOf } from '../../src/watch/orderedObjects.ts';

function object(namespace: string, name: string, uid: string, version: number): ApiObject {
  const metadata = { name, namespace, uid, resourceVersion: String(version) };
  return { apiVersion: 'v1', kind: 'Thing', metadata };
}

const step = fc.record({
  isDeletion: fc.boolean(),
  namespace: fc.constantFrom('a', 'a-b', 'b'),
  name: fc.constantFrom('x', 'x-1', 'x.y', 'z'),
  // The one of the same name that comes after another may come before that is gone.
  twin: fc.constantFrom('1', '2'),
});

test('whatever comes and goes, pages are in order and leave nothing out', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      (steps, limit) => {
        const objects = new OrderedObjects<ApiObject>();
        const model = new Map<string, ApiObject>();
        for (const [version, { isDeletion, namespace, name, twin }] of steps.entries()) {
          const uid = `${namespace}/${name}#${twin}`;
          if (isDeletion) {
            objects.delete(uid);
            model.delete(uid);
          } else {
            const one = object(namespace, name, uid, version);
            objects.set(one);
            model.set(uid, one);
          }
        }
        expect(objects.size).toBe(model.size);
        const paths = (some: Iterable<ApiObject>) => [...some].map(pathOf);
        expect(new Set(objects)).toEqual(new Set(model.values()));
        expect(paths(objects)).toEqual(paths(model.values()).toSorted());
        for (const namespace of [null, 'a', 'a-b']) {
          const isThere = (path: string) => namespace === null || path.startsWith(`${namespace}/`);
          const found = new Set<string>();
          let after: string | null = null;
          do {
            const page = objects.some({ namespace, after, limit, isWanted: () => true });
            for (const one of page.objects) found.add(pathOf(one));
            after = page.next;
          } while (after !== null);
          expect([...found]).toEqual(
            [...new Set(paths(model.values()).filter(isThere))].toSorted(),
          );
        }
      },
    ),
  );
});
