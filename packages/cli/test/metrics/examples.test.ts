import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

  test('each alert is tried', () => {
    const alerts = readFileSync(`${EXAMPLES}alerts.yaml`, 'utf8').matchAll(/alert: (\w+)/g);
    const tests = readFileSync(`${EXAMPLES}alerts.test.yaml`, 'utf8');
    const firing = [...tests.matchAll(/alertname: (\w+)\n\s+exp_alerts:\n/g)].map(
      ([, name]) => name,
    );
    expect(new Set(firing)).toEqual(new Set([...alerts].map(([, name]) => name)));
  });

  describe.skipIf(!hasPromtool)('promtool', () => {
    test('has nothing against the alerts', () => {
      expect(promtool('check', 'config', `${EXAMPLES}prometheus.yaml`)).toBe('');
    });

    test('sees them fire when they should, and not when they should not', () => {
      expect(promtool('test', 'rules', `${EXAMPLES}alerts.test.yaml`)).toBe('');
    });

    test('understands each query of the dashboard', () => {
      const folder = mkdtempSync(join(tmpdir(), 'drover-dashboard-'));
      const file = join(folder, 'rules.yaml');
      const rules = queries().map((expr, i) => ({ record: `query:${i}`, expr }));
      expect(rules.length).toBeGreaterThan(20);
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      expect(promtool('check', 'rules', file)).toBe('');
      rmSync(folder, { recursive: true });
    });
  });
});

/** What the panels of the dashboard ask for. */
function queries(): string[] {
  const text = readFileSync(`${EXAMPLES}dashboard.json`, 'utf8');
  const { panels } = JSON.parse(text) as {
    readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  };
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}

/** What it has to say against that. */
function promtool(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return status === 0 ? stderr : `${status}: ${stdout}${stderr}`;
}
