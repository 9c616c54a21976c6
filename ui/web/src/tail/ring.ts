/**
 * The last `capacity` items. Old ones fall out and are counted: a live tail left open for a day must
 * not grow, and must not pretend that it kept everything.
 */
export class Ring<T> {
  private items: T[] = []
  private start = 0
  /** How many items fell out since the start. */
  fallen = 0

  constructor(readonly capacity: number) {}

  get size(): number {
    return this.items.length
  }

  push(item: T): void {
    if (this.items.length < this.capacity) {
      this.items.push(item)
      return
    }
    this.items[this.start] = item
    this.start = (this.start + 1) % this.capacity
    this.fallen++
  }

  clear(): void {
    this.items = []
    this.start = 0
    this.fallen = 0
  }

  /** Oldest first. */
  toArray(): T[] {
    return [...this.items.slice(this.start), ...this.items.slice(0, this.start)]
  }
}
