import type { PgChannel } from '../channel/pg-channel.js';
import type { CallOptions } from '../executor/call-executor.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { NotifyCalls } from './notify-calls.js';

/** The interval at which consecutive failures are logged, in milliseconds. */
const LOG_INTERVAL = 60_000;

/** Consecutive failures of one channel. */
interface FailureSeries {
  loggedAt: number;
  /** The number of failures that were not logged since. */
  unlogged: number;
}

/** Reports the failures of `emit()`, whose callers do not wait for them. */
export class EmitCalls {
  private readonly failing = new Map<string, FailureSeries>();

  constructor(
    private readonly calls: Pick<NotifyCalls, 'notify'>,
    private readonly context: Pick<RegistrationContext, 'clock' | 'errors' | 'logger'>,
  ) {}

  emit(channel: string | PgChannel, payload: unknown, options?: CallOptions): void {
    this.calls.notify(channel, payload, options).then(
      () => this.succeeded(nameOf(channel)),
      (error: unknown) => this.failed(nameOf(channel), error),
    );
  }

  private succeeded(channel: string): void {
    const series = this.failing.get(channel);
    if (!series) return;
    this.failing.delete(channel);
    const unlogged = series.unlogged > 0 ? `, after ${series.unlogged} more failures` : '';
    this.context.logger.log(`Emitting to channel ${JSON.stringify(channel)} works again${unlogged}.`);
  }

  private failed(channel: string, thrown: unknown): void {
    const error =
      thrown instanceof PgNotifyError ? thrown : new PgNotifyError('publish', messageOf(thrown), { cause: thrown });
    if (error.kind !== 'publish') this.context.errors.tell(error); // `notify` reports errors of kind publish itself.
    const now = this.context.clock.now();
    const series = this.failing.get(channel);
    if (series && now - series.loggedAt < LOG_INTERVAL) {
      series.unlogged += 1;
      return;
    }
    const unlogged = series?.unlogged ?? 0;
    this.failing.set(channel, { loggedAt: now, unlogged: 0 });
    if (unlogged === 0) return this.context.logger.error(error);
    const message = `Emitting to channel ${JSON.stringify(channel)} has failed ${unlogged + 1} more times, the last time with: ${error.message}`;
    this.context.logger.error(message, []);
  }
}

/** The name of a channel. For an invalid value, the error describes it. */
function nameOf(channel: unknown): string {
  return typeof channel === 'object' && channel !== null && 'name' in channel ? String(channel.name) : String(channel);
}
