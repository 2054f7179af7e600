import type { PgHandlerKind, PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';

const OUTCOMES = ['nest-pg-notify.delivered', 'nest-pg-notify.failed', 'nest-pg-notify.rejected'] as const;

/** What became of the notifications of one handler. */
export class HandlerCounters {
  delivered = 0;
  failed = 0;
  /** Those that a guard rejected. */
  rejected = 0;
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
    return OUTCOMES.some((outcome) => this.diagnostics.isWatched(outcome));
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

  /** @param duration Until the guard said so, in milliseconds. */
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
