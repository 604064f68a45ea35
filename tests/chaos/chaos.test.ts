import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { History } from './history.ts';
import { summaryOf, violationsText } from './report.ts';
import { playRun } from './run.ts';

/** CHAOS_SEED repeats a run; CHAOS_SECONDS makes it longer. `pnpm chaos` does more, and keeps what a run leaves. */
const SEED = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000);
const SECONDS = Number(process.env['CHAOS_SECONDS'] ?? 6);

test(
  `whatever breaks, all that is promised holds (CHAOS_SEED=${SEED})`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'drover-chaos-'));
    const result = await playRun({
      folder,
      history: new History(),
      seed: SEED,
      seconds: SECONDS,
      failPercent: 1,
      controllers: 2,
      workers: 2,
      deletesAll: true,
    });
    // What a failing run leaves is kept.
    const text = `seed ${SEED}, see ${folder}\n${violationsText(result)}`;
    expect(result.violations, text).toEqual([]);
    expect(result.faults).toBeGreaterThan(0);
    expect(result.evidence.jobs.length, summaryOf(result)).toBeGreaterThan(0);
    rmSync(folder, { recursive: true });
  },
  SECONDS * 1_000 + 180_000,
);
