/** Controllers and workers in containers under load, while containers, the network and Redis break, and while all are replaced. */
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { docker } from '../../scripts/containers/docker.ts';
import { check } from '../chaos/checker.ts';
import { gather } from '../chaos/gather.ts';
import { History } from '../chaos/history.ts';
import { Load } from '../chaos/load.ts';
import { readRuns, trueNowMs } from '../chaos/records.ts';
import { summaryOf, violationsText } from '../chaos/report.ts';
import { settle, Watch } from '../chaos/run.ts';
import { createRandom } from '../integration/support/random.ts';
import { type Containers, DROVER_IMAGE, findContainers } from './support/containers.ts';
import { Fleet, type Member } from './support/fleet.ts';

/** What users do follows from it. */
const SEED = 8;
/** Of Jobs whose pods all work: the wait after a failure is that of a real installation. */
const KINDS = ['fixed', 'indexed', 'items', 'program'];
const NEXT_IMAGE = `${DROVER_IMAGE}-next`;
/** Far more than a step should take: a machine with other things to do decides nothing. */
const PATIENCE_MS = 90_000;
const TIMEOUT_MS = 3 * PATIENCE_MS;

const found = await findContainers();
const why = typeof found === 'string' ? found : null;
if (why !== null) console.log(`tests of faults with containers are skipped: ${why}`);

describe.skipIf(why !== null)(
  `containers under load${why === null ? '' : ` (skipped: ${why})`}`,
  () => {
    const history = new History();
    let fleet: Fleet;
    let load: Load;
    let watch: Watch;
    let working: Promise<void>;
    let isOver = false;
    let faults = 0;

    beforeAll(async () => {
      fleet = await Fleet.start(found as Containers);
      const roles = ['controller', 'controller', 'worker', 'worker', 'worker'] as const;
      await Promise.all(roles.map((role) => fleet.add(role)));
      const { recordFolder } = fleet;
      const options = { recordFolder, failPercent: 0, kinds: KINDS };
      load = new Load(fleet, createRandom(SEED), history, options);
      watch = new Watch(fleet, load);
      working = load.runUntil(() => isOver);
      // Told by the last test.
      working.catch(() => undefined);
      await goesOn();
    }, TIMEOUT_MS);

    afterAll(async () => {
      isOver = true;
      await watch?.stop();
      await fleet?.stop();
    }, TIMEOUT_MS);

    /** Waits until pods are begun and brought to their end that had not begun now. */
    async function goesOn(): Promise<void> {
      const nowMs = trueNowMs();
      const isNew = ({ startMs, outcome }: { startMs: number; outcome: string | null }): boolean =>
        startMs > nowMs && outcome === 'ok';
      await waitFor(() => readRuns(fleet.recordFolder).pods.filter(isNew).length > 5, {
        timeoutMs: PATIENCE_MS,
        intervalMs: 100,
        describe: 'pods that begin and end well',
      });
    }

    /** Breaks something, sees that work goes on meanwhile, and heals it. */
    async function breaks(
      what: string,
      steps: {
        apply(): Promise<unknown>;
        meanwhile?(): Promise<unknown>;
        heal(): Promise<unknown>;
      },
    ): Promise<void> {
      faults += 1;
      history.note(what);
      await steps.apply();
      try {
        await steps.meanwhile?.();
      } finally {
        history.note(`healed: ${what}`);
        await steps.heal();
      }
      await fleet.untilSessions((count) => count >= 3, PATIENCE_MS);
      await goesOn();
    }

    /** A worker is gone for longer than its lease. */
    const isLost = async (): Promise<void> => {
      const ms = await fleet.untilSessions((count) => count < 3, PATIENCE_MS);
      history.note(`it was taken for lost after ${ms.toFixed()} ms`);
      await goesOn();
    };

    const kill = ({ id }: Member) => docker(['kill', id]);
    const start = ({ id }: Member) => docker(['start', id]);

    test(
      'a worker is killed, and started again',
      async () => {
        const worker = fleet.one('worker', 0);
        await breaks('a worker is killed', {
          apply: () => kill(worker),
          meanwhile: isLost,
          heal: () => start(worker),
        });
      },
      TIMEOUT_MS,
    );

    test(
      'a controller is killed: the other one goes on',
      async () => {
        const controller = fleet.one('controller', 0);
        await breaks('a controller is killed', {
          apply: () => kill(controller),
          meanwhile: goesOn,
          heal: () => start(controller),
        });
      },
      TIMEOUT_MS,
    );

    test(
      'a worker is paused for longer than its lease',
      async () => {
        const { id } = fleet.one('worker', 1);
        await breaks('a worker is paused', {
          apply: () => docker(['pause', id]),
          meanwhile: isLost,
          heal: () => docker(['unpause', id]),
        });
      },
      TIMEOUT_MS,
    );

    test(
      'a worker is taken off the network for longer than its lease',
      async () => {
        const worker = fleet.one('worker', 2);
        await breaks('a worker is disconnected', {
          apply: () => fleet.disconnect(worker),
          meanwhile: isLost,
          heal: () => fleet.connect(worker),
        });
      },
      TIMEOUT_MS,
    );

    test(
      'a controller is taken off the network',
      async () => {
        const controller = fleet.one('controller', 1);
        await breaks('a controller is disconnected', {
          apply: () => fleet.disconnect(controller),
          meanwhile: goesOn,
          heal: () => fleet.connect(controller),
        });
      },
      TIMEOUT_MS,
    );

    test(
      'Redis is killed, and started again',
      async () => {
        await breaks('Redis is killed', {
          apply: () => docker(['kill', fleet.redisId]),
          heal: () => docker(['start', fleet.redisId]),
        });
      },
      TIMEOUT_MS,
    );

    test(
      'all are replaced in turn by those of another image; those that are told to end bring their pods to an end',
      async () => {
        await docker(['build', '--tag', NEXT_IMAGE, '-'], {
          input: `FROM ${DROVER_IMAGE}\nLABEL next=yes\n`,
        });
        const before = [...fleet.members];
        for (const member of before) {
          history.note(`a ${member.role} is replaced`);
          await fleet.add(member.role, NEXT_IMAGE);
          expect(await fleet.retire(member)).toBe(0);
        }
        faults += before.length;
        await fleet.untilSessions((count) => count >= 3, PATIENCE_MS);
        await goesOn();
      },
      TIMEOUT_MS,
    );

    test(
      'nothing is lost, and each pod and each item is counted once',
      async () => {
        isOver = true;
        await working;
        const loadEndMs = trueNowMs();
        await settle(fleet, load, loadEndMs);
        await fleet.noteCrashes();
        const evidence = await gather({ world: fleet, load, seen: watch.seen, loadEndMs });
        const result = { evidence, history, violations: check(evidence), faults };
        console.log(summaryOf(result));
        expect(result.violations, violationsText(result)).toEqual([]);
        expect(evidence.jobs.length).toBeGreaterThan(20);
      },
      TIMEOUT_MS,
    );
  },
);
