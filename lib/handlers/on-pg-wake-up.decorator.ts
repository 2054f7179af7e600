import type { PgChannel } from '../channel/pg-channel.js';
import type { WakeReason } from '../consumers/coalescing-runner.js';
import { handlerDecorator } from './handler-metadata.js';
import type { OnPgWakeUpOptions } from './handler-options.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/**
 * Why a method is woken: `start` when the application starts, `notification`, `gap`, `poll` after a while without either,
 * `again` because the run before returned something truthy, `retry` because it failed.
 */
export type PgWakeReason = WakeReason;

/** What a woken method gets. */
export interface PgWakeUp {
  readonly reason: PgWakeReason;
  readonly channel: string;
  /** Aborted at the timeout, and when a shutdown does not wait any longer. */
  readonly signal: AbortSignal;
}

/** Decorates a method that takes a wake-up and, if it likes, the context. */
export type PgWakeUpHandlerDecorator = <H extends (wakeUp: PgWakeUp, context: PgNotifyContext) => unknown>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/**
 * Calls the method whenever there may be work: for a job queue whose table holds the jobs and whose notifications only
 * wake. One call at a time; whatever wakes it meanwhile means one more call. A truthy result says that there may be more
 * work, and calls it again. It is called at the start, after every gap, and now and then without a reason, more often
 * while notifications may not arrive: so work waits no longer than the poll interval, whatever happens.
 *
 * ```ts
 * @OnPgWakeUp('job_queue')
 * async drain(): Promise<boolean> {
 *   const job = await this.claim(); // SELECT … FOR UPDATE SKIP LOCKED LIMIT 1
 *   if (job) await this.work(job);
 *   return job !== undefined;
 * }
 * ```
 *
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
 */
export function OnPgWakeUp(channel: string | PgChannel, options: OnPgWakeUpOptions = {}): PgWakeUpHandlerDecorator {
  return handlerDecorator({ kind: 'wake-up', channel, options });
}
