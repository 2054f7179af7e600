import { setImmediate } from 'node:timers'; // Fake timers replace the global one, which would end all deliveries.
import { systemClock } from './clock.js';
import type { Clock } from './clock.js';

/**
 * The time that deliveries may use in a turn of the event loop, in addition to the time that reading took, in
 * milliseconds.
 */
const SHARE = 8;
/** After this time in a turn, reading is paused until the next one, in milliseconds. */
const LONG_TURN = 20;
/**
 * The longest pause of reading, in milliseconds. All channels and the answers to heartbeats wait during it, and the
 * server keeps the notifications for all its listeners.
 */
const LONGEST_PAUSE = 250;
/** The most deliveries between two looks at the clock. */
const MOST_UNWATCHED = 64;
/** If the deliveries between two looks take less than this, there may be more of them next time, in milliseconds. */
const AT_ONCE = 1;

/** A queue or a runner that waits for a later turn. */
interface Waiting {
  readonly resume: () => void;
  readonly isCrowded: boolean;
}

/**
 * Shares the turns of the event loop between reading and all handlers of a registration. In each turn handlers may use
 * as much time as reading took, and a little more. So a handler that returns at once keeps up with any burst, and a
 * slow one does not hold up timers and HTTP. Queues with remaining work go on first in the next turn. The socket is not
 * read until then, and for some more turns while a buffer fills up, so that a burst waits in the socket and is not
 * dropped.
 */
export class TurnBudget {
  /** When the turn's first reading or delivery began; undefined before it. */
  private begunAt: number | undefined;
  /** How long reading took in this turn. */
  private reading = 0;
  private readingSince = 0;
  /** The time used by deliveries up to the last look at the clock. */
  private used = 0;
  /** The number of deliveries until the next look at the clock, and the remaining ones. */
  private unwatched = 1;
  private left = 1;
  private waiting: Waiting[] = [];
  /** The number of crowded queues that wait. */
  private crowded = 0;
  private pausing: (() => void)[] = [];
  private pausedAt = 0;

  constructor(private readonly clock: Pick<Clock, 'now'> = systemClock) {}

  /** Whether one more delivery fits into this turn. */
  spend(): boolean {
    if (this.begunAt === undefined) this.begin();
    this.left -= 1;
    if (this.left <= 0) this.look();
    return !this.isUsedUp;
  }

  /** Waits until one more delivery fits into a turn. */
  async spendInTurn(): Promise<void> {
    while (!this.spend()) await new Promise<void>((resolve) => this.later(resolve));
  }

  /**
   * Calls back in a turn with budget left.
   *
   * @param isCrowded Whether the buffer of the queue is filling up, so that it would drop notifications until then.
   */
  later(resume: () => void, isCrowded = false): void {
    this.waiting.push({ resume, isCrowded });
    if (isCrowded) this.crowded += 1;
  }

  /** Reading begins. */
  beginReading(): void {
    this.readingSince = this.begunAt === undefined ? this.begin() : this.clock.now();
  }

  /**
   * Reading has ended.
   *
   * @param pause Called if nothing more may be read in this turn, because the turn is long or its budget is used up.
   * @param resume Called after a pause, in the next turn for which no crowded queue has waited.
   * @param isCutShort Whether only a part of the buffered data was read, as after a pause. The rest needs another pause.
   */
  endReading(pause: () => void, resume: () => void, isCutShort = false): void {
    const now = this.clock.now();
    const wasUsedUp = this.isUsedUp;
    this.reading += now - this.readingSince;
    if (now - this.begunAt! < LONG_TURN && !wasUsedUp && !isCutShort) return;
    if (this.pausing.length === 0) this.pausedAt = now;
    pause();
    this.pausing.push(resume);
  }

  private begin(): number {
    setImmediate(() => this.nextTurn());
    return (this.begunAt = this.clock.now());
  }

  private look(): void {
    const used = this.clock.now() - this.begunAt! - this.reading;
    this.unwatched = used - this.used < AT_ONCE ? Math.min(this.unwatched * 2, MOST_UNWATCHED) : 1;
    this.left = this.unwatched;
    this.used = used;
  }

  private get isUsedUp(): boolean {
    return this.used >= this.reading + SHARE;
  }

  private nextTurn(): void {
    const wasCrowded = this.crowded > 0;
    this.begunAt = undefined;
    this.reading = 0;
    this.used = 0;
    this.unwatched = 1;
    this.left = 1;
    while (!this.isUsedUp && this.waiting.length > 0) this.goOn(this.waiting.shift()!);
    // If nothing is delivered in this turn, no further turn is scheduled.
    const isWorking = this.begunAt !== undefined;
    // Also if a queue has become crowded meanwhile: what was read last may have filled it up after it began to wait.
    const isCrowded = wasCrowded || this.crowded > 0;
    if (isCrowded && isWorking && this.clock.now() - this.pausedAt < LONGEST_PAUSE) return;
    for (const resume of this.pausing.splice(0)) resume();
  }

  private goOn({ resume, isCrowded }: Waiting): void {
    if (isCrowded) this.crowded -= 1;
    resume();
  }
}
