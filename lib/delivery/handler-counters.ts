import type { PgHandlerKind, PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';

/** What became of the notifications of one handler. */
export class HandlerCounters {
  delivered = 0;
  failed = 0;
  dropped = 0;
  /** Replaced by a newer one with the same key before they were handled. */
  conflated = 0;

  constructor(
    readonly kind: PgHandlerKind,
    private readonly handler: string,
    private readonly channel: string,
    private readonly diagnostics: PgNotifyDiagnostics,
  ) {}

  /** Whether it matters to anybody how long a run takes. */
  get areWatched(): boolean {
    return (
      this.diagnostics.isWatched('nest-pg-notify.delivered') || this.diagnostics.isWatched('nest-pg-notify.failed')
    );
  }

  /** @param duration Of the run, in milliseconds. */
  deliver(count: number, duration: number): void {
    const { handler, channel, kind } = this;
    this.delivered += count;
    this.diagnostics.publish('nest-pg-notify.delivered', { handler, channel, kind, count, duration });
  }

  /** @param duration Of the run, in milliseconds. */
  fail(count: number, duration: number): void {
    const { handler, channel, kind } = this;
    this.failed += count;
    this.diagnostics.publish('nest-pg-notify.failed', { handler, channel, kind, count, duration });
  }

  drop(count: number): void {
    const { handler, channel } = this;
    this.dropped += count;
    this.diagnostics.publish('nest-pg-notify.dropped', { handler, channel, count });
  }
}
