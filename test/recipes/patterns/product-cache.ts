import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';

export const ProductChanges = definePgChannel<{ id: number }>('product_changes');

@Injectable()
export class ProductCache {
  readonly prices = new Map<number, number>();

  @OnPgNotify(ProductChanges)
  evict({ id }: { id: number }): void {
    this.prices.delete(id);
  }

  @OnPgGap(ProductChanges) // At the start, after a reconnect, an overflow …: "some may have been missed".
  clear(): void {
    this.prices.clear();
  }
}
