import { Injectable } from '@nestjs/common';
import { definePgChannel, PgNotifyError, PgNotifyService } from 'nest-pg-notify';

export const StockChanges = definePgChannel<{ id: number }>('stock_changes');

@Injectable()
export class Announcer {
  constructor(private readonly pgNotify: PgNotifyService) {}

  /** Resolves when PostgreSQL has committed it. */
  async announce(id: number): Promise<void> {
    await this.pgNotify.notify(StockChanges, { id });
  }

  /** Any number, in their order. */
  async announceAll(ids: readonly number[]): Promise<void> {
    await this.pgNotify.notifyMany(
      StockChanges,
      ids.map((id) => ({ id })),
    );
  }

  /** Nothing waits for it: a failure is logged, and emitted by `errors$`. */
  mention(id: number): void {
    this.pgNotify.emit(StockChanges, { id });
  }

  /** Tries once more, but only if that cannot send it twice. */
  async announceWithRetry(id: number): Promise<void> {
    try {
      await this.announce(id);
    } catch (error) {
      if (!(error instanceof PgNotifyError) || error.outcome !== 'not-sent') throw error;
      await this.announce(id);
    }
  }
}
