import { channelName } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgHandlerKind } from '../pg-notify.diagnostics.js';
import type { ConsumerContext } from './consumer-context.js';
import { HandlerCounters } from './handler-counters.js';
import { handlerRun } from './handler-run.js';
import type { HandlerRun } from './handler-run.js';

/** One use of a decorator, as its registration sees it. Each kind is a class that owns its queue, its figures and its end. */
export interface Handler {
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
  readonly stats: PgHandlerStats;
  /** Whether it has nothing to do. */
  readonly isIdle: boolean;
  /** Resolves when it is idle. */
  settled(): Promise<void>;
  /** Takes nothing more; what was received still runs. */
  end(): void;
  /** Drops what waits; returns how many that were. */
  stop(): number;
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

/** What a handler of any kind is called for, and how. */
export interface HandlerDefinition<Argument> {
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
  readonly channel: string | PgChannel;
  readonly call: (argument: Argument, signal: AbortSignal) => unknown;
  /** How long a run may take, in milliseconds. */
  readonly timeout: number | undefined;
  /** Describes the failure of a run for its message. @default the message of what was thrown */
  readonly describe?: ((thrown: unknown, argument: Argument) => string) | undefined;
}

/** The runs of one handler, and their figures. */
export interface CountedRuns<Argument> {
  readonly run: HandlerRun<Argument>;
  readonly counters: HandlerCounters;
}

/** @param closing Aborted when the registration does not wait any longer for what runs. */
export function countedRuns<Argument>(
  definition: HandlerDefinition<Argument>,
  kind: PgHandlerKind,
  context: ConsumerContext,
  closing: AbortSignal,
): CountedRuns<Argument> {
  const { label, timeout, describe, call } = definition;
  const channel = channelName(definition.channel);
  const counters = new HandlerCounters(kind, label, channel, context.diagnostics);
  const { blocks, onError, onRecovery, warn, debug, async } = context;
  const callApart: typeof call = (argument, signal) => async.run(() => call(argument, signal));
  const run = handlerRun({
    label,
    channel,
    call: callApart,
    timeout,
    describe,
    closing,
    counters,
    blocks,
    onError,
    onRecovery,
    warn,
    debug,
  });
  return { run, counters };
}
