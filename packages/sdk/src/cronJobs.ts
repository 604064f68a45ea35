import {
  ConflictError,
  CRON_JOB_KIND,
  FOREGROUND_FINALIZER,
  manualJobOf,
  ORPHAN_FINALIZER,
  type CronJob,
  type Job,
} from '@drover/shared';
import { composeObject, objectText, type CronRun } from '@drover/store';

import type { Backend } from './backend.ts';
import { backfill, type BackfilledTime, type BackfillRange } from './cronBackfill.ts';
import type { DeleteOptions, JobsClient, NamespaceOptions } from './jobs.ts';
import { ObjectsClient } from './objects.ts';
import type { ObjectRef } from './refs.ts';

/** Options of `cronJobs.trigger`. */
export interface TriggerOptions extends NamespaceOptions {
  /** Name of the Job. Default: the CronJob's with `-manual-` and five random characters. */
  readonly name?: string;
  /** As for `jobs.create`: with the same uid it is made once. */
  readonly uid?: string;
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean;
}

/** Options of `cronJobs.backfill`. */
export type BackfillOptions = NamespaceOptions & BackfillRange;

/** What an attempt to delete may meet: somebody who writes it at the same time. */
const MAX_DELETE_ATTEMPTS = 8;

/** CronJobs: Jobs on a schedule. */
export class CronJobsClient extends ObjectsClient<CronJob> {
  readonly #jobs: JobsClient;

  /** @param jobs - Creates Jobs that belong to no pod. */
  constructor(backend: Backend, namespace: string, jobs: JobsClient) {
    super(backend, namespace, {
      kind: CRON_JOB_KIND,
      encode: objectText,
      decode: (stored) => composeObject(CRON_JOB_KIND, stored),
      normalize: (manifest) => manifest,
    });
    this.#jobs = jobs;
  }

  /** Starts no Job until it is resumed; those that run go on. */
  async suspend(ref: ObjectRef, options: NamespaceOptions = {}): Promise<CronJob> {
    return await this.patch(ref, { spec: { suspend: true } }, options);
  }

  /** Lets a suspended CronJob go on. Of the times that passed the last one is run now, if it is not too late for it. */
  async resume(ref: ObjectRef, options: NamespaceOptions = {}): Promise<CronJob> {
    return await this.patch(ref, { spec: { suspend: false } }, options);
  }

  /**
   * Runs it now, whatever its schedule and concurrencyPolicy say, suspended or not: makes a Job as
   * `kubectl create job --from` does. It counts for the history limits and is in the history.
   *
   * @throws NotFoundError
   * @throws AlreadyExistsError when another Job has the name.
   */
  async trigger(ref: ObjectRef, options: TriggerOptions = {}): Promise<Job> {
    const cronJob = await this.get(ref, options);
    const { namespace } = cronJob.metadata;
    const { name, uid, dryRun } = options;
    return await this.#jobs.create(manualJobOf(cronJob, name), {
      namespace,
      ...(uid !== undefined && { uid }),
      ...(dryRun !== undefined && { dryRun }),
    });
  }

  /**
   * What became of its past times, and its runs by hand, in order: about the last hundred.
   *
   * @throws NotFoundError
   */
  async history(ref: ObjectRef, options: NamespaceOptions = {}): Promise<CronRun[]> {
    const { namespace, name } = (await this.get(ref, options)).metadata;
    return await this.backend.onShard(namespace, ({ cronJobs }) =>
      cronJobs.history(namespace, name),
    );
  }

  /**
   * Makes the Jobs for past times that had none, with the names that they would have had. They start at once, whatever
   * concurrencyPolicy says. What had its Job gets no second one, as far as the history goes back.
   *
   * @throws NotFoundError
   * @throws InvalidSpecError when the range can not be: in the future, of more than 1,000 times, of `@every`.
   */
  async backfill(
    ref: ObjectRef,
    { from, to, dryRun, ...options }: BackfillOptions,
  ): Promise<BackfilledTime[]> {
    const range = { from, to, ...(dryRun !== undefined && { dryRun }) };
    return await backfill(this.backend, await this.get(ref, options), range);
  }

  /**
   * Deletes a CronJob with its Jobs, and their pods.
   *
   * @param options.propagationPolicy - Background, the default: it is gone at once, and its Jobs after it.
   *   Foreground: it stays until they are gone. Orphan: they stay, and belong to it no more.
   * @returns Whether it is gone; false while it waits for finalizers.
   * @throws NotFoundError
   * @throws ConflictError when a precondition does not hold.
   */
  override async delete(ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
    const { propagationPolicy, preconditions = {} } = options;
    for (let attempt = 1; attempt <= MAX_DELETE_ATTEMPTS; attempt++) {
      const before = await this.readStored(ref, options);
      const { uid = before.uid, resourceVersion = String(before.resourceVersion) } = preconditions;
      if (uid !== before.uid || resourceVersion !== String(before.resourceVersion)) {
        throw new ConflictError(this.reference(before));
      }
      const cronJob = await this.decode(before);
      const finalizers = (cronJob.metadata.finalizers ?? []).filter(
        (one) =>
          propagationPolicy === undefined ||
          (one !== FOREGROUND_FINALIZER && one !== ORPHAN_FINALIZER),
      );
      if (propagationPolicy === 'Foreground') finalizers.push(FOREGROUND_FINALIZER);
      if (propagationPolicy === 'Orphan') finalizers.push(ORPHAN_FINALIZER);
      const marked = { ...cronJob, metadata: { ...cronJob.metadata, finalizers } };
      const outcome = await this.write(before, marked, true);
      if (outcome.type !== 'conflict') return outcome.type === 'removed';
      // Its status was written in between.
    }
    throw new ConflictError(this.reference(await this.readStored(ref, options)));
  }
}
