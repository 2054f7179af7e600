import { NO_PRIVILEGE, sqlStateOf } from '../event-log/event-log-error.js';
import type { EventAdmin, PgEventConsumerState } from '../event-log/event-store.js';
import { invalidOption, orElse, readOptions, shown } from '../option-checks.js';
import type { ChecksOf, OptionCheck } from '../option-checks.js';
import { withDeadline } from '../time/deadline.js';

/** The limits above which the health indicator reports the event log as down. */
export interface PgEventsHealthOptions {
  /**
   * How long an event may wait for a consumer that is not paused, in milliseconds.
   *
   * @default 300_000
   */
  readonly maxLag?: number;
  /**
   * How many dead letters one consumer may have. There is no limit by default, because restarting an instance does not remove
   * them; the report contains their number.
   *
   * @default Infinity
   */
  readonly maxDeadLetters?: number;
}

const notNegative: OptionCheck<number> = (given, place) => {
  if (typeof given === 'number' && given >= 0) return given;
  throw invalidOption(place, `must be a number of at least 0, or Infinity, not ${shown(given)}`);
};

const OPTIONS = {
  maxLag: orElse(300_000, notNegative),
  maxDeadLetters: orElse(Infinity, notNegative),
} satisfies ChecksOf<PgEventsHealthOptions>;

/** The report of one consumer: the sum of its shards. */
export interface PgEventsConsumerHealth {
  /** The number of events that it has not read yet. */
  readonly waiting: number;
  /** The age of the oldest waiting event, in milliseconds. */
  readonly lag: number;
  readonly retrying: number;
  readonly dead: number;
  readonly paused: boolean;
}

/** The report under the indicator's key. It contains no host name and no secret. */
export interface PgEventsHealth {
  readonly status: 'up' | 'down';
  /** Why it is down. */
  readonly reason?: string;
  /** By consumer name; empty if the log does not answer, or if the role may not read it. */
  readonly consumers: Readonly<Record<string, PgEventsConsumerHealth>>;
}

/**
 * Reports the health of an event log in the form of `@nestjs/terminus`, without depending on it.
 *
 * ```ts
 * this.health.check([() => this.pgEvents.isHealthy('pg_events', { maxLag: 60_000 })]);
 * ```
 */
export class PgEventsHealthIndicator {
  private asking: Promise<readonly PgEventConsumerState[]> | undefined;

  /**
   * @internal Made by PgEventsModule.
   * @param answerTimeout How long the log may take to answer, in milliseconds.
   * @param consumes Whether this application has consumers. One that only publishes need not be able to read the log.
   */
  constructor(
    private readonly store: Pick<EventAdmin, 'consumers'>,
    private readonly answerTimeout = 5_000,
    private readonly consumes: () => boolean = () => true,
  ) {}

  /**
   * Up if the log answers within 5 s and no consumer exceeds the limits of the options, whichever application runs it. An
   * application without consumers is also up if its role may not read the log. Rejects only for invalid options, with a
   * PgNotifyError of kind `configuration`.
   */
  async isHealthy<Key extends string = 'pg_events'>(
    key: Key = 'pg_events' as Key,
    options: PgEventsHealthOptions = {},
  ): Promise<Record<Key, PgEventsHealth>> {
    const { maxLag, maxDeadLetters } = readOptions('isHealthy()', options, OPTIONS);
    const timeout = this.answerTimeout;
    const problems: string[] = [];
    const states = await withDeadline(this.ask(), { timeout, expired: () => new Error() }).catch((error: unknown) => {
      if (sqlStateOf(error) !== NO_PRIVILEGE)
        problems.push('the event log does not answer'); // The report leaves the reason out, because it may contain host names.
      else if (this.consumes()) problems.push('the role may not read the event log');
      return undefined;
    });
    const names = [...new Set(states?.map(({ consumer }) => consumer))];
    const consumers = names.map((name) => {
      const shards = states!.filter(({ consumer }) => consumer === name);
      const health = healthOf(shards);
      if (health.lag > maxLag && !health.paused) {
        problems.push(`the consumer ${name} is ${Math.round(health.lag / 1_000)} s behind`);
      }
      if (health.dead > maxDeadLetters) problems.push(`the consumer ${name} has ${health.dead} dead letters`);
      if (shards.some(({ isForeign }) => isForeign)) problems.push(`the consumer ${name} comes from another cluster`);
      return [name, health] as const;
    });
    const status = problems.length > 0 ? 'down' : 'up';
    const health: PgEventsHealth = {
      status,
      ...(problems.length > 0 && { reason: problems.join('; ') }),
      consumers: Object.fromEntries(consumers),
    };
    return { [key]: health } as Record<Key, PgEventsHealth>;
  }

  /** Shares one query among concurrent checks: counting may take long, and the log has few connections. */
  private ask(): Promise<readonly PgEventConsumerState[]> {
    this.asking ??= this.store.consumers().finally(() => (this.asking = undefined));
    return this.asking;
  }
}

function healthOf(shards: readonly PgEventConsumerState[]): PgEventsConsumerHealth {
  const sum = (of: 'waiting' | 'retrying' | 'dead'): number => shards.reduce((total, shard) => total + shard[of], 0);
  return {
    waiting: sum('waiting'),
    lag: Math.round(Math.max(...shards.map(({ oldestWaiting }) => oldestWaiting))),
    retrying: sum('retrying'),
    dead: sum('dead'),
    paused: shards.every(({ paused }) => paused),
  };
}
