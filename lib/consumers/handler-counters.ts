import type { PgHandlerKind, PgNotifyDiagnostics, Watch } from '../pg-notify.diagnostics.js';
import type { PgHandlerStats } from './handler.js';

/** Counts the outcomes of one handler's notifications. */
export class HandlerCounters {
  delivered = 0;
  failed = 0;
  /** Rejected by a guard. */
  rejected = 0;
  dropped = 0;
  /** Replaced by a newer one with the same key before being handled. */
  conflated = 0;
  private readonly ofDelivered: Watch;
  private readonly ofFailed: Watch;
  private readonly ofRejected: Watch;

  constructor(
    readonly kind: PgHandlerKind,
    private readonly handler: string,
    private readonly channel: string,
    private readonly diagnostics: PgNotifyDiagnostics,
  ) {
    this.ofDelivered = diagnostics.watch('nest-pg-notify.delivered');
    this.ofFailed = diagnostics.watch('nest-pg-notify.failed');
    this.ofRejected = diagnostics.watch('nest-pg-notify.rejected');
  }

  /** @param depth The notifications that wait, and the runs under way. */
  stats(depth: { readonly waiting: number; readonly running: number }): PgHandlerStats {
    const { handler, channel, kind, delivered, failed, rejected, dropped, conflated } = this;
    return { handler, channel, kind, ...depth, delivered, failed, rejected, dropped, conflated };
  }

  /** Whether somebody subscribes to the durations of runs. */
  get areWatched(): boolean {
    return this.ofDelivered.hasSubscribers || this.ofFailed.hasSubscribers || this.ofRejected.hasSubscribers;
  }

  /** @param duration Of the run, in milliseconds. */
  deliver(count: number, duration: number): void {
    this.delivered += count;
    if (!this.ofDelivered.hasSubscribers) return;
    const { handler, channel, kind } = this;
    this.diagnostics.publish('nest-pg-notify.delivered', { handler, channel, kind, count, duration });
  }

  /** @param duration Of the run, in milliseconds. */
  fail(count: number, duration: number): void {
    const { handler, channel, kind } = this;
    this.failed += count;
    this.diagnostics.publish('nest-pg-notify.failed', { handler, channel, kind, count, duration });
  }

  /** @param duration Until the guard rejected, in milliseconds. */
  reject(count: number, duration: number): void {
    const { handler, channel, kind } = this;
    this.rejected += count;
    this.diagnostics.publish('nest-pg-notify.rejected', { handler, channel, kind, count, duration });
  }

  drop(count: number): void {
    const { handler, channel } = this;
    this.dropped += count;
    this.diagnostics.publish('nest-pg-notify.dropped', { handler, channel, count });
  }
}
