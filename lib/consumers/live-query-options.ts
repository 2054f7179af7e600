import { flag, invalidOption, milliseconds, oneOf, optional, orElse, readOptions, shown } from '../option-checks.js';
import type { ChecksOf, OptionCheck } from '../option-checks.js';

/** The options of `liveQuery()`. */
export interface PgLiveQueryOptions<T = unknown> {
  /**
   * The shortest time between the starts of two loads, in milliseconds. Notifications in between cause one load
   * together.
   *
   * @default 0
   */
  readonly minInterval?: number;
  /**
   * The time between loads while it is not known whether notifications arrive, in milliseconds.
   *
   * @default 1_000
   */
  readonly fallbackPollInterval?: number;
  /**
   * What happens when a load fails. `keep`: the failure is logged, the last value stays, and the load is tried again
   * with growing delays. `error`: the stream fails with a PgNotifyError of kind `handler`, whose `cause` is what the
   * load threw.
   *
   * @default 'keep'
   */
  readonly onError?: 'keep' | 'error';
  /**
   * How long a load may take, in milliseconds. A load that takes longer has failed, and its signal is aborted. The next
   * load begins only when it has ended, so a load that ignores its signal holds up the live query.
   *
   * @default no limit
   */
  readonly timeout?: number;
  /**
   * Whether to leave out a value that equals the last one. `true` compares the structure with that of the last value at
   * the time it was emitted; a value that cannot be compared, because it holds functions or private state, is always
   * emitted. A function returns whether two values are equal.
   *
   * @default true
   */
  readonly distinct?: boolean | ((previous: T, current: T) => boolean);
  /**
   * Whether to emit {@link PgLiveValue}, which says whether the value may be outdated, instead of the value alone.
   *
   * @default false
   */
  readonly stale?: boolean;
}

/** What a live query with the option `stale` emits: with each new value, and whenever `stale` changes. */
export interface PgLiveValue<T> {
  readonly value: T;
  /**
   * Whether the value may be outdated: the last load has failed or timed out, there was a gap since the last load, or
   * it is not known whether notifications arrive (it then polls).
   */
  readonly stale: boolean;
}

/** The options with their defaults. */
export type ResolvedLiveQueryOptions<T> = Required<Omit<PgLiveQueryOptions<T>, 'timeout'>> & {
  readonly timeout: number | undefined;
};

/**
 * @param label Names the query, for messages.
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
 */
export function readLiveQueryOptions<T>(options: PgLiveQueryOptions<T>, label: string): ResolvedLiveQueryOptions<T> {
  return readOptions(`the ${label}`, options, OPTIONS) as ResolvedLiveQueryOptions<T>;
}

const distinct: OptionCheck<boolean | ((previous: never, current: never) => boolean)> = (given, place) => {
  if (typeof given === 'boolean') return given;
  if (typeof given === 'function') return given as () => boolean;
  throw invalidOption(
    place,
    `must be true, false, or a function that returns whether two values are equal, not ${shown(given)}`,
  );
};

const OPTIONS = {
  minInterval: orElse(0, milliseconds()),
  fallbackPollInterval: orElse(1_000, milliseconds({ least: 1 })),
  onError: orElse('keep', oneOf(['keep', 'error'])),
  timeout: optional(milliseconds({ least: 1 })),
  distinct: orElse(true, distinct),
  stale: orElse(false, flag),
} satisfies ChecksOf<PgLiveQueryOptions>;
