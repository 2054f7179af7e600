import { count, orElse, readOptions, shown } from '../option-checks.js';
import { PgNotifyError } from '../pg-notify.errors.js';

const DEFAULT_LIMIT = 100;

/** Like all functions of this file, it throws a PgNotifyError of kind `configuration`. @param call Such as `pause()`. */
export function checkConsumer(call: string, consumer: unknown): string {
  if (typeof consumer === 'string' && consumer !== '') return consumer;
  throw refusal(`${call} takes the name of a consumer, not ${shown(consumer)}.`);
}

export function checkIds(call: string, ids: unknown): readonly string[] | undefined {
  if (ids === undefined) return undefined;
  if (Array.isArray(ids) && ids.every((id) => typeof id === 'string')) return ids;
  throw refusal(`${call} takes a list of the ids of events, not ${shown(ids)}.`);
}

export function checkDate(call: string, since: unknown): Date {
  if (since instanceof Date && !Number.isNaN(since.getTime())) return since;
  throw refusal(`${call} takes a Date, not ${shown(since)}.`);
}

export function readDeadLettersOptions(options: unknown): { readonly limit: number } {
  return readOptions('deadLetters()', options, { limit: orElse(DEFAULT_LIMIT, count()) });
}

export function readRetention(olderThan: unknown): number {
  if (typeof olderThan === 'number' && olderThan > 0 && Number.isFinite(olderThan)) return olderThan;
  throw refusal(
    `prune() takes how old events must be, in milliseconds, not ${shown(olderThan)}. The option retention of PgEventsModule, 0 to keep all, is its default.`,
  );
}

function refusal(message: string): PgNotifyError {
  return new PgNotifyError('configuration', message);
}
