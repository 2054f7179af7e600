/** The items that wait in a queue, oldest first. */
export interface WaitingList<T> {
  readonly size: number;
  /** The oldest item, if the list knows it. */
  readonly first?: T | undefined;
  /** Returns the item that the new one has replaced, if there is one. */
  push(item: T): T | undefined;
  shift(): T | undefined;
}

/** How many places are kept while nothing waits, and how many empty places at the front before they are released. */
const SLACK = 1_024;

/** Keeps all items. */
export class Fifo<T> implements WaitingList<T> {
  private items: (T | undefined)[] = [];
  private head = 0;
  private tail = 0;

  get size(): number {
    return this.tail - this.head;
  }

  get first(): T | undefined {
    return this.items[this.head];
  }

  push(item: T): undefined {
    this.items[this.tail] = item;
    this.tail += 1;
    return undefined;
  }

  shift(): T | undefined {
    if (this.head === this.tail) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head += 1;
    if (this.head === this.tail) this.keep(this.items.length > SLACK ? [] : this.items, 0);
    else if (this.head >= SLACK && this.head * 2 >= this.tail)
      this.keep(this.items.slice(this.head, this.tail), this.size);
    return item;
  }

  private keep(items: (T | undefined)[], tail: number): void {
    this.items = items;
    this.head = 0;
    this.tail = tail;
  }
}

/**
 * Keeps the newest item of each key at the place of its oldest, so that a key that changes all the time gets its turn.
 */
export class LatestByKey<T> implements WaitingList<T> {
  private readonly items = new Map<unknown, T>();
  /** Kept between calls, because a new iterator visits the places of all deleted items again until the Map is rehashed. */
  private keys = this.items.keys();

  constructor(private readonly keyOf: (item: T) => unknown) {}

  get size(): number {
    return this.items.size;
  }

  push(item: T): T | undefined {
    const key = this.keyOf(item);
    const replaced = this.items.get(key);
    this.items.set(key, item);
    return replaced;
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const key = this.nextKey();
    const item = this.items.get(key);
    this.items.delete(key);
    return item;
  }

  private nextKey(): unknown {
    const next = this.keys.next();
    if (!next.done) return next.value;
    // The iterator ended while nothing waited, and does not see items that were added since.
    this.keys = this.items.keys();
    return this.keys.next().value;
  }
}
