import { setImmediate } from 'node:timers'; // The global one is replaced by fake timers, which would end all deliveries.
import { systemClock } from './clock.js';
import type { Clock } from './clock.js';

/** How long deliveries may go on in a turn of the event loop beyond what reading took in it, in milliseconds. */
const SHARE = 8;
/** How long a turn may be before what comes in has to wait for the next one, in milliseconds. */
const LONG_TURN = 20;
/**
 * How long what comes in may wait for deliveries in all, in milliseconds: all other channels wait with it, the answers to
 * heartbeats as well, and the server keeps it for all its listeners.
 */
const LONGEST_PAUSE = 250;
/** How many deliveries that return at once are made between two looks at the clock. */
const MOST_UNWATCHED = 64;
/** How long what is made between two looks may take for there to be more of it the next time, in milliseconds. */
const AT_ONCE = 1;

/** A queue or a runner that goes on in a later turn. */
interface Waiting {
  readonly resume: () => void;
  readonly isCrowded: boolean;
}

/**
 * Shares the turns of the event loop between reading and all handlers of a registration. In each turn handlers may use as
 * much time as reading took, and a little more: a handler that returns at once keeps up with any burst, and a slow one does
 * not hold up timers and HTTP. Queues that have work left go on in the next turn, before all others. The socket is not read
 * until then, or for some turns more while a buffer fills up: so a burst waits in the socket rather than in buffers that drop it.
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
  private waiting: Waiting[] = [];
  /** How many of those that wait are crowded. */
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
   * @param isCrowded Whether the buffer of the queue fills up: it would drop much of what comes in until then.
   */
  later(resume: () => void, isCrowded = false): void {
    this.waiting.push({ resume, isCrowded });
    if (isCrowded) this.crowded += 1;
  }

  /** Something that has come in is read from here on. */
  beginReading(): void {
    this.readingSince = this.begunAt === undefined ? this.begin() : this.clock.now();
  }

  /**
   * It was read.
   *
   * @param pause Called if nothing more is to be read in this turn: it has become long, or has nothing left for what was
   * read.
   * @param resume Called then in the next turn for which nobody crowded has waited.
   * @param isCutShort Whether more is there, and is left for the next turn in any case.
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
    const isCrowded = this.crowded > 0;
    this.begunAt = undefined;
    this.reading = 0;
    this.used = 0;
    this.unwatched = 1;
    this.left = 1;
    while (!this.isUsedUp && this.waiting.length > 0) this.goOn(this.waiting.shift()!);
    // Unless something is delivered in this turn, no other one is asked for.
    const isWorking = this.begunAt !== undefined;
    if (isCrowded && isWorking && this.clock.now() - this.pausedAt < LONGEST_PAUSE) return;
    for (const resume of this.pausing.splice(0)) resume();
  }

  private goOn({ resume, isCrowded }: Waiting): void {
    if (isCrowded) this.crowded -= 1;
    resume();
  }
}
