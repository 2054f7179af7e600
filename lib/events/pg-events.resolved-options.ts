import type { EventRetry } from '../event-log/event-consumer-definition.js';
import { DEFAULT_EVENT_SCHEMA, eventSchemaName } from '../event-log/event-log-schema.js';
import type { PgUnitOfWork } from '../event-log/unit-of-work.js';
import {
  checkedElsewhere,
  count,
  flag,
  group,
  invalidOption,
  milliseconds,
  optional,
  orElse,
  readOptions,
  shown,
} from '../option-checks.js';
import type { Checked, ChecksOf, OptionCheck } from '../option-checks.js';
import { mergedRetry, RETRY } from './on-pg-event.options.js';
import type { PgEventsOptions } from './pg-events.options.js';

/** The name in messages. */
const OWNER = 'PgEventsModule';

const DAY = 86_400_000;

/** About an hour. */
const STANDARD_RETRY: EventRetry = { attempts: 20, delay: 1_000, maxDelay: 300_000 };

/** No timer uses it, so it may exceed a timer's limit. */
const retention: OptionCheck<number> = (given, place) => {
  if (Number.isFinite(given) && (given as number) >= 0) return given as number;
  throw invalidOption(place, `must be a number of milliseconds, or 0 to keep all events, not ${shown(given)}`);
};

const maxConnections: OptionCheck<number> = (given, place) => {
  if (count()(given, place) >= 2) return given as number;
  throw invalidOption(place, 'must be at least 2: a transaction keeps one while leases are renewed on another');
};

const unitOfWork: OptionCheck<PgUnitOfWork> = (given, place) => {
  if (typeof given === 'function') return given as PgUnitOfWork;
  throw invalidOption(place, `must be a function, such as (work) => dataSource.transaction(work), not ${shown(given)}`);
};

const OPTIONS = {
  schema: orElse(DEFAULT_EVENT_SCHEMA, eventSchemaName),
  consume: orElse(true, flag),
  // Checked by createEventLog().
  pool: checkedElsewhere,
  maxConnections: orElse(5, maxConnections),
  lease: orElse(15_000, milliseconds({ least: 100 })),
  retention: orElse(7 * DAY, retention),
  retry: group(RETRY),
  unitOfWork: optional(unitOfWork),
} satisfies ChecksOf<PgEventsOptions>;

/** The options with their defaults, without the pool. */
export type ResolvedPgEventsOptions = Omit<Checked<typeof OPTIONS>, 'pool' | 'retry'> & { readonly retry: EventRetry };

/**
 * Checks the options and fills in the defaults.
 *
 * @throws PgNotifyError of kind `configuration` that names the option and its valid values.
 */
export function resolveEventsOptions(options: PgEventsOptions): ResolvedPgEventsOptions {
  if (typeof options === 'object' && options !== null && 'registration' in options) {
    throw invalidOption(
      { owner: 'PgEventsModule.forRootAsync()', path: 'registration' },
      'must stand beside useFactory, not among the options that it returns: it is fixed before they are known',
    );
  }
  const {
    pool: _,
    retry: given,
    ...read
  } = readOptions(OWNER, options, OPTIONS, { synonyms: { name: 'registration' } });
  const retry = mergedRetry(given, STANDARD_RETRY);
  if (retry.delay <= retry.maxDelay) return { ...read, retry };
  const problem = `(${retry.delay} ms) is larger than retry.maxDelay (${retry.maxDelay} ms): set both`;
  throw invalidOption({ owner: OWNER, path: 'retry.delay' }, problem);
}
