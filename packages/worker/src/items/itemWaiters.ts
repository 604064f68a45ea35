import type { DeliveredItem } from './deliveredItem.ts';
import type { ItemClaim } from './itemSettler.ts';

/** A pod that takes items. */
export interface ItemTaker {
  readonly claim: ItemClaim;
  /** Items that it wants to have at hand, those in its hands included. */
  readonly prefetch: number;
  /** Of these, what is fetched before it asks. */
  readonly ahead: number;
  /** Why it takes no more; null while it does. */
  readonly stopReason: Error | null;
  /** It lent its place, and there is room for it again; or it did not. */
  readonly mayGoOn: boolean;
  /** It waits for an item from now on. */
  waits(): void;
  /** It waits no more: it is being given an item. */
  goesOn(): void;
}

/** Somebody who waits for an item. */
export interface ItemWaiter {
  readonly taker: ItemTaker;
  /** null: there will be none. */
  readonly resolve: (item: DeliveredItem | null) => void;
  readonly reject: (error: Error) => void;
}

/** Those who wait for an item of a work queue, in the order in which they came. */
export class ItemWaiters {
  #waiters: ItemWaiter[] = [];

  /** How many. */
  get size(): number {
    return this.#waiters.length;
  }

  /** How many of them may be given an item. */
  get readyCount(): number {
    return this.#waiters.reduce((count, { taker }) => (taker.mayGoOn ? count + 1 : count), 0);
  }

  /** The claims of their pods, one for each Job. */
  get claims(): ItemClaim[] {
    const byJob = new Map(this.#waiters.map(({ taker: { claim } }) => [claim.jobUid, claim]));
    return [...byJob.values()];
  }

  /** Adds one at the end. */
  add(waiter: ItemWaiter): void {
    this.#waiters.push(waiter);
    waiter.taker.waits();
  }

  /** Puts back one that was taken and got none. */
  addFirst(waiter: ItemWaiter): void {
    this.#waiters.unshift(waiter);
    waiter.taker.waits();
  }

  /** The first that may be given an item, which stays; null when there is none. */
  firstReady(): ItemWaiter | null {
    return this.#waiters.find(({ taker }) => taker.mayGoOn) ?? null;
  }

  /** Takes one, who is about to be given an item. */
  take(waiter: ItemWaiter): void {
    this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    waiter.taker.goesOn();
  }

  /** One that waits no more is told why; nothing happens when it was given something before. */
  cancel(waiter: ItemWaiter, reason: Error): void {
    this.#end((one) => one === waiter).forEach(({ reject }) => reject(reason));
  }

  /** A pod takes no more items. */
  stop(taker: ItemTaker): void {
    const reason = taker.stopReason ?? new Error('the pod has ended');
    this.#end((one) => one.taker === taker).forEach(({ reject }) => reject(reason));
  }

  /** There will be no item for the pods of a Job; null = for nobody. */
  dismiss(jobUid: string | null): void {
    this.#end(({ taker }) => jobUid === null || taker.claim.jobUid === jobUid).forEach(
      ({ resolve }) => resolve(null),
    );
  }

  /** Nobody gets an item any more. */
  rejectAll(error: Error): void {
    this.#end(() => true).forEach(({ reject }) => reject(error));
  }

  #end(isMeant: (waiter: ItemWaiter) => boolean): ItemWaiter[] {
    const ended = this.#waiters.filter(isMeant);
    if (ended.length > 0) this.#waiters = this.#waiters.filter((waiter) => !isMeant(waiter));
    return ended;
  }
}
