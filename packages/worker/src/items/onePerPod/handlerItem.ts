import type { Claim } from '@drover/store';

import type { PodEnd } from '../../runtime.ts';
import type { PodItem } from '../podItem.ts';
import type { ItemCarrier } from './oneItemLane.ts';

/** Gives a pod's handler its item in its context; what the handler returns is the result. */
export class HandlerItem implements ItemCarrier {
  /** The item of the pod that runs. */
  item: PodItem | null = null;

  async give(_claim: Claim, item: PodItem): Promise<void> {
    this.item = item;
  }

  async result({ overlay }: PodEnd): Promise<string> {
    return overlay?.result ?? '';
  }

  takeBack(): void {
    this.item = null;
  }
}
