import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

const EXAMPLES = fileURLToPath(new URL('../../../../examples/monitoring/', import.meta.url));
const DOCS = new URL('../../../../docs/metrics.md', import.meta.url);

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

/** Metrics that a text speaks of, without what a histogram adds to its name. */
function metricsIn(text: string): Set<string> {
  const names = [...text.matchAll(/drover_[a-z_]+/g)].map(([name]) => name);
  return new Set(names.map((name) => name.replace(/_(bucket|count|sum)$/, '')));
}

describe('examples/monitoring', () => {
  const documented = metricsIn(readFileSync(DOCS, 'utf8'));

  test.each(['alerts.yaml', 'dashboard.json'])('%s speaks of metrics that exist', (file) => {
    const used = metricsIn(readFileSync(EXAMPLES + file, 'utf8'));
    expect(used.size).toBeGreaterThan(5);
    expect([...used].filter((name) => !documented.has(name))).toEqual([]);
  });

  test.skipIf(!hasPromtool)('promtool has nothing against the alerts', () => {
    const checked = spawnSync('promtool', ['check', 'config', `${EXAMPLES}prometheus.yaml`], {
      encoding: 'utf8',
    });
    expect({ code: checked.status, said: checked.stderr }).toEqual({ code: 0, said: '' });
  });
});
