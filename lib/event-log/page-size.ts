import type { StoredEvent } from './event-store.js';

/** The size of the first page, in events. */
const FIRST = 50;
/** The limit for the payloads of one page, in characters. It is kept only if events are about as large as in the last page. */
const MOST_CHARACTERS = 8_000_000;

/** How many events the next page may hold: fewer if payloads are large. */
export class PageSize {
  private size: number;

  constructor(readonly most: number) {
    this.size = Math.min(FIRST, most);
  }

  get next(): number {
    return this.size;
  }

  /** Adapts the size to the payloads of the last page. */
  learn(events: readonly StoredEvent[]): void {
    const characters = events.reduce((sum, { payload }) => sum + payload.length, 0);
    const fitting = Math.floor((MOST_CHARACTERS * events.length) / Math.max(1, characters));
    this.size = Math.max(1, Math.min(this.most, this.size * 4, fitting));
  }
}
