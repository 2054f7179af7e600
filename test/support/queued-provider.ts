import { GAP_REASONS } from '../../lib/channel/pg-gap.js';
import type { PgGap, PgGapReason } from '../../lib/channel/pg-gap.js';
import type { PgNotification } from '../../lib/channel/pg-notification.js';
import type { GapMethod } from '../../lib/consumers/gap-barrier.js';
import { GapGate } from '../../lib/consumers/gap-gate.js';
import { HandlerBlocks } from '../../lib/consumers/handler-blocks.js';
import type { HandlerCounters } from '../../lib/consumers/handler-counters.js';
import { HandlerQueue } from '../../lib/consumers/handler-queue.js';
import type { HandlerQueueOptions, Taken } from '../../lib/consumers/handler-queue.js';
import { HandlerCalls } from '../../lib/consumers/handler-calls.js';
import { HandlerRecord } from '../../lib/consumers/handler-record.js';
import type { HandlerDefinition } from '../../lib/consumers/handler-record.js';
import { systemClock } from '../../lib/time/clock.js';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import type { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { consumerContext } from './consumer-context.js';
import { FakeClock } from './fake-server.js';
import { HeldCalls } from './held-calls.js';
import { Recorder } from './recorder.js';

type Overrides = Partial<Omit<HandlerQueueOptions, 'runs' | 'context'>> & {
  readonly budget?: TurnBudget;
  readonly call?: (ids: readonly number[], signal: AbortSignal) => unknown;
  readonly timeout?: number;
};

let time = 0;

/** A moment that is different at each call. */
export function moment(): Date {
  time += 1;
  return new Date(time);
}

/** A gap of the channel `c`. */
export function gapOf(reason: PgGapReason, more: Partial<PgGap> = {}): PgGap {
  return { channel: 'c', reason, until: moment(), ...more };
}

/** A provider with gap methods and queues, as an application would have it, and what they did. */
export class QueuedProvider {
  readonly clock = new FakeClock();
  readonly closing = new AbortController();
  readonly events = new Recorder<string>();
  readonly errors: PgNotifyError[] = [];
  readonly overflows: string[] = [];
  readonly gaps: PgGap[] = [];
  readonly gate: GapGate;
  readonly counters: HandlerCounters[] = [];
  readonly blocks = new HandlerBlocks();
  /** By a clock that stands still, so that a busy machine does not postpone a run to a later turn. */
  private readonly budget = new TurnBudget({ now: () => 0 });
  private readonly methods: GapMethod[] = [];

  constructor() {
    this.gate = new GapGate(this.methods, this.clock, this.closing.signal);
  }

  /** Adds a gap method that waits each time for the test to end it. */
  heldMethod(reasons: readonly PgGapReason[] = GAP_REASONS): HeldCalls<PgGap> {
    const held = new HeldCalls<PgGap>();
    this.methods.push({
      accepts: (reason) => reasons.includes(reason),
      run: (gap) => {
        this.gaps.push(gap);
        const run = held.run(gap);
        this.events.push(`gap ${gap.reason}`);
        return run;
      },
    });
    return held;
  }

  /** Adds a handler with a queue. */
  queue(name: string, { call, timeout, budget = this.budget, ...options }: Overrides = {}): HandlerQueue {
    const context = consumerContext({
      clock: systemClock, // A batch waits in real time.
      blocks: this.blocks,
      budget,
      onError: (error) => this.errors.push(error as PgNotifyError),
    });
    const definition: HandlerDefinition<Taken> = {
      label: name,
      channel: 'c',
      call: (items, signal) => {
        const ids = [items].flat().map(({ payload }) => payload as number);
        this.events.push(`${name} ${ids.join(' ')}`);
        return call?.(ids, signal);
      },
      timeout,
    };
    const record = new HandlerRecord<Taken>(definition, 'notification', context);
    const { counters } = record;
    this.counters.push(counters);
    const { gate } = this;
    return new HandlerQueue({
      label: name,
      channel: 'c',
      mode: { concurrency: 1 },
      bufferSize: 100,
      calls: new HandlerCalls(definition, 'c', record, context),
      counters,
      closing: this.closing.signal,
      gate,
      context,
      onOverflow: () => this.overflows.push(name),
      ...options,
    });
  }
}

/** A notification on the channel `c`. */
export function notification(payload: unknown): PgNotification {
  return { channel: 'c', raw: String(payload), payload, processId: 1, receivedAt: new Date() };
}

/** Gives a queue notifications with these payloads. */
export function push(queue: HandlerQueue, ...payloads: readonly unknown[]): void {
  for (const payload of payloads) queue.push(notification(payload));
}
