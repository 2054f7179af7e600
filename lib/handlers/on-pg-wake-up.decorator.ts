import type { PgChannel } from '../channel/pg-channel.js';
import type { Observable } from 'rxjs';
import type { WakeReason } from '../consumers/coalescing-runner.js';
import type { PgWakeUpResult } from '../consumers/wake-up-handler.js';
import { handlerDecorator } from './handler-metadata.js';
import type { OnPgWakeUpOptions } from './handler-options.js';
import type { PgNotifyContext } from './pg-notify.context.js';

export type { PgWakeUpResult };

/**
 * Why a method is woken: `start` when the application starts, `notification`, `gap`, `poll` after a while without
 * either, `again` because the run before asked for it, `retry` because it failed.
 */
export type PgWakeReason = WakeReason;

/** The argument of a woken method. */
export interface PgWakeUp {
  readonly reason: PgWakeReason;
  readonly channel: string;
  /** Aborted at the timeout, and when a shutdown stops waiting. */
  readonly signal: AbortSignal;
}

/** Decorates a method that takes a wake-up and, optionally, the context. */
export type PgWakeUpHandlerDecorator = <
  H extends (
    wakeUp: PgWakeUp,
    context: PgNotifyContext,
  ) => PgWakeUpResult | PromiseLike<PgWakeUpResult> | Observable<PgWakeUpResult>,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/**
 * Calls the method whenever there may be work: for a job queue whose jobs are in a table, and whose notifications only
 * wake workers. There is one call at a time, and all wake-ups during a call cause one more. The result `true`, or a
 * number that is not 0, means that there may be more work, and causes another call. It is also called at the start, after every gap, and by polling,
 * more often while notifications may not arrive. So work never waits longer than the poll interval.
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
