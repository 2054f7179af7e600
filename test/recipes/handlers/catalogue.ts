import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgNotify } from 'nest-pg-notify';
import type { PgNotification, PgNotifyContext } from 'nest-pg-notify';

export interface PriceChange {
  readonly productId: number;
  readonly price: number;
}

export const PriceChanges = definePgChannel<PriceChange>('price_changes');
export const Clicks = definePgChannel<{ page: string }>('clicks');
export const Reports = definePgChannel<{ url: string }>('reports');

@Injectable()
export class Catalogue {
  readonly prices = new Map<number, number>();
  readonly log: string[] = [];

  /** One at a time, in the order of the commits. */
  @OnPgNotify(PriceChanges)
  note({ productId }: PriceChange, notification: PgNotification<PriceChange>, context: PgNotifyContext): void {
    this.log.push(`${context.handler}: ${productId} at ${notification.receivedAt.toISOString()}`);
  }

  /** Of those that wait, only the newest of each product. */
  @OnPgNotify(PriceChanges, { latest: ({ productId }) => productId })
  async display({ productId, price }: PriceChange): Promise<void> {
    this.prices.set(productId, price);
  }

  /** Up to 500 together, and none waits for longer than 200 ms. */
  @OnPgNotify(Clicks, { batch: { maxSize: 500, maxWait: 200 } })
  async count(clicks: readonly { page: string }[]): Promise<void> {
    this.log.push(`${clicks.length} clicks`);
  }

  /** Ten at a time, of which 100 may wait. A run that takes longer than 30 s has failed. */
  @OnPgNotify(Reports, { concurrency: 10, bufferSize: 100, timeout: 30_000 })
  async download({ url }: { url: string }, _: PgNotification, { signal }: PgNotifyContext): Promise<void> {
    const { status } = await fetch(url, { signal });
    this.log.push(`${status} ${url}`);
  }
}
