import type { PodExtras } from '../../jobPlan.ts';
import { isLoss } from '../../process/containerLoop.ts';
import { exitText, type ProcessExit } from '../../process/processExit.ts';
import type { RunningProcess } from '../../process/runningProcess.ts';
import { NoItemsError } from '../itemErrors.ts';
import type { PodItems, PodItemsEnd } from '../podItems.ts';
import { type ItemsInHand, ItemSocket } from './itemSocket.ts';
import type { SocketDirectory, SocketPlaces } from './socketDirectory.ts';

/** Variable with the path of a container's socket. */
const ITEMS_SOCKET_VARIABLE = 'DROVER_ITEMS_SOCKET';

/** The sockets of a pod's containers, from before its first program starts until after its last has ended. */
export class PodSockets implements PodExtras {
  readonly searchPath: string | null;
  readonly #items: PodItems;
  readonly #places: SocketPlaces;
  readonly #stop: { killAtMs: number };
  readonly #sockets: ReadonlyMap<string, { readonly socket: ItemSocket; readonly path: string }>;

  private constructor(
    items: PodItems,
    places: SocketPlaces,
    sockets: ReadonlyMap<string, { readonly socket: ItemSocket; readonly path: string }>,
    stop: { killAtMs: number },
  ) {
    this.#items = items;
    this.#places = places;
    this.#sockets = sockets;
    this.#stop = stop;
    this.searchPath = places.searchPath;
  }

  /** Opens them. @throws Error when that can not be done. */
  static async open(
    items: PodItems,
    containers: readonly string[],
    directory: SocketDirectory,
  ): Promise<PodSockets> {
    const places = await directory.make(containers.length);
    const sockets = new Map<string, { socket: ItemSocket; path: string }>();
    const inHand: ItemsInHand = new Map();
    const stop = { killAtMs: Number.POSITIVE_INFINITY };
    const pod = new PodSockets(items, places, sockets, stop);
    try {
      for (const [i, name] of containers.entries()) {
        const path = places.paths[i]!;
        sockets.set(name, { socket: await ItemSocket.open(path, { items, inHand, stop }), path });
      }
      await places.open();
    } catch (error) {
      await pod.close();
      throw error;
    }
    return pod;
  }

  variables(container: string): Record<string, string> {
    const path = this.#sockets.get(container)?.path;
    return path === undefined ? {} : { [ITEMS_SOCKET_VARIABLE]: path };
  }

  started(container: string, running: RunningProcess): void {
    void running.exited.then((exit) =>
      this.#sockets.get(container)?.socket.programEnded(this.#howEnded(exit)),
    );
  }

  input(): undefined {
    return undefined;
  }

  /** The pod is told to stop, and killed after `graceMs`: it gets no more items. Repeated: the sooner end counts. */
  stop(graceMs: number): void {
    this.#stop.killAtMs = Math.min(this.#stop.killAtMs, performance.now() + graceMs);
    this.#items.stop(new NoItemsError('the pod is told to stop: there are no more items for it'));
  }

  /** All programs have ended. Resolves when what became of their items is recorded. */
  async close(): Promise<void> {
    for (const { socket } of this.#sockets.values()) socket.close();
    this.#places.remove();
    await this.#items.end({ type: 'stopped' });
  }

  #howEnded(exit: ProcessExit): PodItemsEnd {
    // One that was told to stop may say with 0 that it did as it was told, and not that it was through.
    if (this.#items.stopReason !== null || isLoss(exit)) return { type: 'stopped' };
    if (exit.exitCode === 0) return { type: 'returned' };
    return { type: 'threw', error: `its program ended with it in hand: ${exitText(exit)}` };
  }
}
