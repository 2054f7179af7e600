import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';
import { pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange } from 'nest-pg-notify/triggers';

export const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema<number>() });

@Injectable()
export class ProductCache {
  readonly prices = new Map<number, number>();

  @OnPgNotify(ProductChanges)
  evict({ keys }: PgTableChange<number>): void {
    for (const id of keys ?? this.prices.keys()) this.prices.delete(id); // Without keys: any of them may have changed.
  }

  @OnPgGap(ProductChanges) // At the start, after a reconnect, an overflow …: "some may have been missed".
  clear(): void {
    this.prices.clear();
  }
}
