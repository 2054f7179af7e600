import { Observable, ReplaySubject, share } from 'rxjs';
import { channelName } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { milliseconds, oneOf, orElse, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { Clock } from '../session/clock.js';
import { CoalescingRunner } from './coalescing-runner.js';
import type { DeliveryTrust } from './delivery-trust.js';
import type { DecodeLanes } from './decode-lanes.js';
import type { TurnBudget } from './turn-budget.js';

export interface PgLiveQueryOptions {
  /**
   * How long after the begin of a load the next one may begin, in milliseconds: what is notified meanwhile is loaded
   * together.
   *
   * @default 0
   */
  readonly minInterval?: number;
  /**
   * How often to load while nobody knows whether notifications arrive, in milliseconds.
   *
   * @default 1_000
   */
  readonly fallbackPollInterval?: number;
  /**
   * What a load that fails does. `keep`: it is logged, the last value stays, and the load is tried again with growing
   * delays. `error`: the stream fails with a PgNotifyError of kind `handler`, whose `cause` is what the load threw.
   *
   * @default 'keep'
   */
  readonly onError?: 'keep' | 'error';
}

/** @param label Names the query, for messages. */
export function readLiveQueryOptions(options: PgLiveQueryOptions, label: string): Required<PgLiveQueryOptions> {
  return readOptions(`the ${label}`, options, OPTIONS);
}

const OPTIONS = {
  minInterval: orElse(0, milliseconds()),
  fallbackPollInterval: orElse(1_000, milliseconds({ least: 1 })),
  onError: orElse('keep', oneOf(['keep', 'error'])),
} satisfies ChecksOf<PgLiveQueryOptions>;

export interface LiveQuerySpec<T> {
  readonly channels: readonly (string | PgChannel)[];
  /** Names the query where it has to be reported. */
  readonly label: string;
  readonly load: (signal: AbortSignal) => T | PromiseLike<T>;
  readonly options: Required<PgLiveQueryOptions>;
}

export interface LiveQueryParts {
  readonly lanes: DecodeLanes;
  readonly trust: DeliveryTrust;
  readonly isListening: () => boolean;
  readonly clock: Clock;
  readonly budget: TurnBudget;
  readonly onError: (error: unknown) => void;
  /** Takes note of a load that may be under way, until the returned function is called. */
  readonly watch: (runner: CoalescingRunner) => () => void;
}

/** How long after a load that failed the next one begins, in milliseconds: 1, 2, 4 … 30 s. */
const retryDelay = (failures: number): number => Math.min(1_000 * 2 ** (failures - 1), 30_000);

/** A value that is loaded again whenever it may have changed: one load for any number of subscribers. */
export function liveQuery<T>(spec: LiveQuerySpec<T>, parts: LiveQueryParts): Observable<T> {
  // Of whichever subscription: a load that nobody waits for any more may still be under way when the next begins.
  let underWay: Promise<unknown> = Promise.resolve();
  const source = new Observable<T>((subscriber) => {
    const { lanes, trust, clock, budget } = parts;
    const { onError, minInterval, fallbackPollInterval } = spec.options;
    const over = new AbortController();
    let hasLoaded = false;
    const load = async (): Promise<T> => spec.load(over.signal);
    const runner = new CoalescingRunner({
      run: async () => {
        await underWay;
        if (over.signal.aborted) return;
        const loading = load();
        underWay = loading.catch(() => undefined); // Reported below.
        try {
          const value = await loading;
          hasLoaded = true;
          if (!over.signal.aborted) subscriber.next(value);
        } catch (cause) {
          if (over.signal.aborted) return;
          const message = `The load of the ${spec.label} failed: ${messageOf(cause)}`;
          const error = new PgNotifyError('handler', message, { handler: spec.label, cause });
          if (onError === 'error') return subscriber.error(error);
          parts.onError(error);
          throw error;
        }
      },
      errorDelay: retryDelay,
      pollDelay: () => (trust.isGiven && hasLoaded ? undefined : fallbackPollInterval),
      minInterval,
      clock,
      budget,
    });
    const forget = parts.watch(runner);
    // Where it listens, each channel begins with a gap in a moment: that is the first load.
    if (parts.isListening()) runner.begin();
    else runner.wake('start');
    const endings = spec.channels.map((channel) =>
      // By its name: whatever the payload is, and whatever a schema says of it, something has changed.
      lanes.attach(channelName(channel), {
        notification: () => runner.wake('notification'),
        gap: () => {
          runner.forgive(); // PostgreSQL is back: what failed without it is worth an attempt.
          runner.wake('gap');
        },
        complete: () => subscriber.complete(),
      }),
    );
    const ignore = trust.onChange(() => runner.pollAnew());
    return () => {
      over.abort();
      ignore();
      for (const attachment of endings) attachment.detach();
      runner.stop();
      forget();
    };
  });
  return source.pipe(share({ connector: () => new ReplaySubject<T>(1) }));
}
