import type { StoredEvent } from './event-store.js';

/** With how many events a consumer begins. */
const FIRST = 50;
/** How many characters of payloads a page may hold, if all events are as large as those of the last one. */
const MOST_CHARACTERS = 8_000_000;

/** How many events are read at once: as many as allowed, but fewer of large ones. */
export class PageSize {
  private size: number;

  constructor(readonly most: number) {
    this.size = Math.min(FIRST, most);
  }

  get next(): number {
    return this.size;
  }

  /** Takes the last page as an example of the next one. */
  learn(events: readonly StoredEvent[]): void {
    const characters = events.reduce((sum, { payload }) => sum + payload.length, 0);
    const fitting = Math.floor((MOST_CHARACTERS * events.length) / Math.max(1, characters));
    this.size = Math.max(1, Math.min(this.most, this.size * 4, fitting));
  }
}
