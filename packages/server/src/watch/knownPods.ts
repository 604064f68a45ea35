/**
 * Which pods of a Job a watch has told of: four bytes for each, since there may be a million. Says of
 * a pod that is gone what it was called, and whether it was selected.
 */
export class KnownPods {
  /** By pod number: 0 = not known, else ((index + 1) << 1) + (selected ? 1 : 0). */
  #cells = new Uint32Array(64);
  #highest = 0;

  /** Notes a pod. `index` of a Job that has none is 0. */
  set(podNumber: number, index: number, isSelected: boolean): void {
    if (podNumber >= this.#cells.length) this.#grow(podNumber);
    this.#cells[podNumber] = (index + 1) * 2 + (isSelected ? 1 : 0);
    this.#highest = Math.max(this.#highest, podNumber);
  }

  /** What is known of a pod; null = nothing. */
  get(podNumber: number): { readonly index: number; readonly isSelected: boolean } | null {
    const cell = this.#cells[podNumber] ?? 0;
    if (cell === 0) return null;
    return { index: Math.floor(cell / 2) - 1, isSelected: cell % 2 === 1 };
  }

  /** Forgets a pod. */
  delete(podNumber: number): void {
    if (podNumber < this.#cells.length) this.#cells[podNumber] = 0;
  }

  /** Numbers of the known pods in a range. */
  *numbers(from: number, to: number): Generator<number> {
    const last = Math.min(to, this.#highest);
    for (let number = Math.max(1, from); number <= last; number++) {
      if (this.#cells[number] !== 0) yield number;
    }
  }

  #grow(podNumber: number): void {
    const cells = new Uint32Array(Math.max(podNumber + 1, this.#cells.length * 2));
    cells.set(this.#cells);
    this.#cells = cells;
  }
}
