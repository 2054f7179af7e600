import { setImmediate } from 'node:timers'; // The global one is replaced by fake timers, which would end all deliveries.
import { systemClock } from './clock.js';
import type { Clock } from './clock.js';

/** How long deliveries may go on in a turn of the event loop beyond what reading took in it, in milliseconds. */
const SHARE = 8;
/** The same where what is not delivered now would be dropped for what comes in. */
const URGENT_SHARE = 50;
/** How long a turn may be before the sockets that are read in it have to wait for the next one, in milliseconds. */
const LONG_TURN = 20;
/** How many deliveries that return at once are made between two looks at the clock. */
const MOST_UNWATCHED = 64;
/** How long what is made between two looks may take for there to be more of it the next time, in milliseconds. */
const AT_ONCE = 1;

/**
 * What all handlers of a registration together may use of one turn of the event loop: as much time as reading took, and a
 * little more. So what returns at once keeps up with whatever comes in, and what takes long does not keep timers and HTTP
 * waiting: the rest goes on in the next turn, in which those who had to wait come first.
 */
export class TurnBudget {
  /** When the turn's first reading or delivery began; undefined before it. */
  private begunAt: number | undefined;
  /** How long reading took in this turn. */
  private reading = 0;
  private readingSince = 0;
  /** How long everything else took up to the last look at the clock. */
  private used = 0;
  /** How many deliveries are made between this look and the next, and how many of them are left. */
  private unwatched = 1;
  private left = 1;
  private waiting: (() => void)[] = [];
  private pausing: (() => void)[] = [];

  constructor(private readonly clock: Pick<Clock, 'now'> = systemClock) {}

  /**
   * Whether one more delivery fits into this turn.
   *
   * @param isUrgent Whether something would be dropped otherwise, if as much comes in as came in before.
   */
  spend(isUrgent = false): boolean {
    if (this.begunAt === undefined) this.begin();
    this.left -= 1;
    if (this.left <= 0) this.look();
    return this.used < this.reading + (isUrgent && this.reading > 0 ? URGENT_SHARE : SHARE);
  }

  /** Calls back in a turn with budget left. */
  later(resume: () => void): void {
    this.waiting.push(resume);
  }

  /** Something that has come in is read from here on. */
  beginReading(): void {
    this.readingSince = this.begunAt === undefined ? this.begin() : this.clock.now();
  }

  /**
   * It was read.
   *
   * @param pause Called if nothing more is to be read in this turn, which has become long, or has nothing left for what
   * was read.
   * @param resume Called in the next turn then.
   */
  endReading(pause: () => void, resume: () => void): void {
    const now = this.clock.now();
    const wasUsedUp = this.isUsedUp;
    this.reading += now - this.readingSince;
    if (now - this.begunAt! < LONG_TURN && !wasUsedUp) return;
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
    this.begunAt = undefined;
    this.reading = 0;
    this.used = 0;
    this.unwatched = 1;
    this.left = 1;
    for (const resume of this.pausing.splice(0)) resume();
    while (!this.isUsedUp) {
      const resume = this.waiting.shift();
      if (!resume) return;
      resume();
    }
  }
}
