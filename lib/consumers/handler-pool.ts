import { setMaxListeners } from 'node:events';
import type { PgChannel } from '../channel/pg-channel.js';
import { channelName } from '../channel/pg-channel.js';
import type { PgGap, PgGapReason } from '../channel/pg-gap.js';
import type { PgNotification } from '../channel/pg-notification.js';
import type { PgNotifyAsyncContext } from '../pg-notify.async-context.js';
import type { PgHandlerKind, PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { Clock } from '../time/clock.js';
import { CoalescingRunner } from './coalescing-runner.js';
import type { WakeReason } from './coalescing-runner.js';
import type { Detachment } from './decode-lane.js';
import type { DeliveryTrust } from './delivery-trust.js';
import type { GapMethod } from './gap-barrier.js';
import { GapGate } from './gap-gate.js';
import { HandlerCounters } from './handler-counters.js';
import { HandlerQueue } from './handler-queue.js';
import type { HandlerQueueMode } from './handler-queue.js';
import { handlerRun } from './handler-run.js';
import type { DecodeLanes } from './decode-lanes.js';
import type { TurnBudget } from './turn-budget.js';

export interface HandlerPoolOptions {
  readonly lanes: DecodeLanes;
  readonly trust: DeliveryTrust;
  readonly budget: TurnBudget;
  readonly clock: Clock;
  readonly context: PgNotifyAsyncContext;
  readonly diagnostics: PgNotifyDiagnostics;
  readonly onError: (error: unknown) => void;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
}

/** One handler: what it is called for, and how. */
export interface HandlerSpec<Argument> {
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
  readonly channel: string | PgChannel;
  readonly call: (argument: Argument, signal: AbortSignal) => unknown;
  /** How long a run may take, in milliseconds. */
  readonly timeout: number | undefined;
  /** Describes the failure of a run for its message. @default the message of what was thrown */
  readonly describe?: ((thrown: unknown, argument: Argument) => string) | undefined;
}

export interface GapMethodSpec extends HandlerSpec<PgGap> {
  /** Undefined for all. */
  readonly reasons: readonly PgGapReason[] | undefined;
}

export interface QueueSpec extends HandlerSpec<readonly PgNotification[]> {
  readonly mode: HandlerQueueMode;
  readonly bufferSize: number;
}

export interface WakeUpSpec extends HandlerSpec<WakeReason> {
  readonly pollInterval: number;
  readonly fallbackPollInterval: number;
  readonly errorDelay: number;
}

/** What became of the notifications, gaps or wake-ups of one handler, and how many it still has to take. */
export interface PgHandlerStats {
  /** As `ProductCache.evict`. */
  readonly handler: string;
  readonly channel: string;
  /** What it is called for. The counts of a gap method and of a woken method are those of its runs. */
  readonly kind: PgHandlerKind;
  /** How many wait. */
  readonly waiting: number;
  /** How many runs are under way. */
  readonly running: number;
  readonly delivered: number;
  readonly failed: number;
  /** Those that a guard rejected. */
  readonly rejected: number;
  readonly dropped: number;
  /** With `latest`: replaced by a newer one before they were handled. */
  readonly conflated: number;
}

interface Member {
  readonly label: string;
  readonly channel: string;
  readonly counters: HandlerCounters;
  readonly depth: () => { readonly waiting: number; readonly running: number };
  readonly isIdle: () => boolean;
  readonly settled: () => Promise<void>;
  /** Takes nothing more from the channel. */
  readonly end: () => void;
  /** Drops what waits; returns how many that were. */
  readonly stop: () => number;
}

/** The handlers of one registration: what each of them still has to do, and what a shutdown waits for. */
export class HandlerPool {
  private readonly members: Member[] = [];
  /** Of the gap methods without a queue. */
  private readonly attachments: Detachment[] = [];
  private readonly closing = new AbortController();

  constructor(private readonly options: HandlerPoolOptions) {
    setMaxListeners(0, this.closing.signal); // Each gate listens, and each run that has a timeout.
  }

  /**
   * Connects the handlers that one provider has for one channel: the queues, which stop at each gap until the gap methods
   * have succeeded.
   */
  connect(queues: readonly QueueSpec[], gapMethods: readonly GapMethodSpec[]): void {
    const methods: GapMethod[] = [];
    const gate = new GapGate(methods, this.options.clock, this.closing.signal);
    for (const spec of gapMethods) methods.push(this.gapMethod(spec, gate));
    for (const spec of queues) this.connectQueue(spec, gate);
    const [alone] = queues.length === 0 ? gapMethods : [];
    if (alone) this.connectGate(alone.channel, gate);
  }

  /** Connects a method that is woken; it runs for the first time at once. */
  connectWakeUp(spec: WakeUpSpec): void {
    const { lanes, trust, clock, budget } = this.options;
    const { pollInterval, fallbackPollInterval, errorDelay } = spec;
    const counters = this.countersOf(spec, 'wake-up');
    const run = this.runOf(spec, counters);
    const runner = new CoalescingRunner({
      run: (reason) => run(reason, 1),
      errorDelay: () => errorDelay,
      pollDelay: () => (trust.isGiven ? pollInterval : fallbackPollInterval),
      minInterval: 0,
      clock,
      budget,
    });
    const end = (): void => {
      forget();
      runner.stop();
    };
    const forget = trust.onChange(() => runner.pollAnew());
    // By its name: a wake-up is no message, so whatever its payload is, and whatever a schema says of it, there may be work.
    const attachment = lanes.attach(channelName(spec.channel), {
      notification: () => runner.wake('notification'),
      gap: () => runner.wake('gap'),
      complete: end, // A bootstrap that fails must not leave a worker behind.
    });
    this.members.push({
      ...this.nameOf(spec),
      counters,
      depth: () => ({ waiting: 0, running: runner.isIdle ? 0 : 1 }),
      isIdle: () => runner.isIdle,
      settled: () => runner.settled(),
      end: () => {
        attachment.detach();
        end();
      },
      stop: () => 0,
    });
    runner.wake('start');
  }

  get stats(): readonly PgHandlerStats[] {
    return this.members.map(({ label, channel, counters, depth }) => {
      const { kind, delivered, failed, rejected, dropped, conflated } = counters;
      return { handler: label, channel, kind, ...depth(), delivered, failed, rejected, dropped, conflated };
    });
  }

  /** Takes nothing more; what was received still runs. */
  end(): void {
    for (const { end } of this.members) end();
    for (const attachment of this.attachments) attachment.detach();
  }

  /** Resolves when no handler has anything to do, or when it was abandoned. */
  async settled(): Promise<void> {
    while (!this.closing.signal.aborted) {
      await this.options.lanes.settled();
      await Promise.all(this.members.map(({ settled }) => settled()));
      if (this.isSettled) return;
    }
  }

  /**
   * Waits for nothing any more, and runs nothing more. Returns what was not finished, for a message: the handlers, and how
   * many waited; nothing when it was abandoned before.
   */
  abandon(): readonly string[] {
    if (this.closing.signal.aborted) return [];
    this.end();
    const busy = this.members.filter(({ isIdle }) => !isIdle());
    const dropped = new Map(this.members.map((member) => [member, member.stop()]));
    this.closing.abort(new PgNotifyError('closed', 'The registration is being closed, and waits no longer.'));
    const unfinished = busy.map((member) => {
      const waiting = dropped.get(member) ?? 0;
      return waiting === 0 ? member.label : `${member.label} (and ${waiting} that waited)`;
    });
    const channels = this.options.lanes.waitingChannels;
    return [...unfinished, ...channels.map((channel) => `the schema of the channel ${JSON.stringify(channel)}`)];
  }

  private get isSettled(): boolean {
    return this.members.every(({ isIdle }) => isIdle());
  }

  private connectQueue(spec: QueueSpec, gate: GapGate): void {
    const { lanes, budget, diagnostics, context, onError, warn } = this.options;
    const { label, channel } = this.nameOf(spec);
    const { bufferSize } = spec;
    const { latest } = spec.mode;
    const mode = { ...spec.mode, latest: latest && ((payload: unknown) => context.run(() => latest(payload))) };
    const counters = this.countersOf(spec, 'notification');
    const queue = new HandlerQueue({
      label,
      channel,
      mode,
      bufferSize,
      run: this.runOf(spec, counters),
      gate,
      budget,
      counters,
      onError,
      onOverflow: () => {
        diagnostics.publish('nest-pg-notify.gap', { channel, reason: 'overflow' });
        warn(
          `Handler ${label} is too slow for the channel ${JSON.stringify(channel)}: ${bufferSize} notifications wait, and the oldest are dropped. ` +
            `What is dropped is counted, and announced as an overflow gap. Raise bufferSize, or let it take more at a time: concurrency, batch or latest.`,
        );
      },
    });
    const attachment = lanes.attach(spec.channel, {
      notification: (notification) => queue.push(notification),
      gap: (gap) => queue.gap(gap),
      complete: () => queue.end(),
    });
    this.members.push({
      label,
      channel,
      counters,
      depth: () => queue.depth,
      isIdle: () => queue.isIdle,
      settled: () => queue.settled(),
      end: () => attachment.end(),
      stop: () => queue.stop(),
    });
  }

  /** Gap methods without a queue beside them are told of each gap as it comes. */
  private connectGate(channel: string | PgChannel, gate: GapGate): void {
    const gap = (announced: PgGap): void =>
      announced.reason === 'overflow' ? gate.overflow(announced) : void gate.announce(announced);
    this.attachments.push(this.options.lanes.attach(channel, { gap }));
  }

  private gapMethod(spec: GapMethodSpec, gate: GapGate): GapMethod {
    const counters = this.countersOf(spec, 'gap');
    const run = this.runOf(spec, counters);
    let running = 0;
    this.members.push({
      ...this.nameOf(spec),
      counters,
      depth: () => ({ waiting: 0, running }),
      isIdle: () => gate.isIdle,
      settled: () => gate.settled(),
      end: () => undefined,
      stop: () => 0,
    });
    const { reasons } = spec;
    return {
      accepts: (reason) => reasons?.includes(reason) ?? true,
      run: async (gap) => {
        running += 1;
        try {
          await run(gap, 1);
        } finally {
          running -= 1;
        }
      },
    };
  }

  private runOf<Argument>(spec: HandlerSpec<Argument>, counters: HandlerCounters) {
    const { timeout, describe } = spec;
    const { onError, warn, debug, context } = this.options;
    const call: typeof spec.call = (argument, signal) => context.run(() => spec.call(argument, signal));
    const closing = this.closing.signal;
    return handlerRun({ ...this.nameOf(spec), call, timeout, describe, closing, counters, onError, warn, debug });
  }

  private countersOf(spec: HandlerSpec<never>, kind: PgHandlerKind): HandlerCounters {
    const { label, channel } = this.nameOf(spec);
    return new HandlerCounters(kind, label, channel, this.options.diagnostics);
  }

  private nameOf({ label, channel }: Pick<HandlerSpec<never>, 'label' | 'channel'>) {
    return { label, channel: channelName(channel) };
  }
}
